// Machines and the coordinator's own state in words.
#ifndef TANREN_COORDINATOR_CLIENT_NODE_TEXT_H_
#define TANREN_COORDINATOR_CLIENT_NODE_TEXT_H_

#include <cstdint>
#include <string>

#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

// A line for each machine.
std::string RenderNodes(const ListNodesReply& reply, int64_t now_ms, int width);

// "up", "up, draining: a new disk", "up, its certificate ends in 12 days".
std::string NodeStateText(const Node& node, int64_t now_ms);

std::string DescribeStatus(const StatusReply& status, const std::string& address, int64_t now_ms);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_NODE_TEXT_H_
