// One agent's stream: its reports go to the core, orders and questions go to it.
#ifndef TANREN_COORDINATOR_SERVER_AGENT_STREAM_H_
#define TANREN_COORDINATOR_SERVER_AGENT_STREAM_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "coordinator/server/agent_hub.h"
#include "coordinator/server/coordinator_parts.h"
#include "coordinator/server/stream.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

using AgentReactor = grpc::ServerBidiReactor<AgentMessage, CoordinatorMessage>;

class AgentStream final : public Stream<AgentReactor, CoordinatorMessage>, public AgentLink {
 public:
  AgentStream(grpc::CallbackServerContext* context, const CoordinatorParts& parts)
      : Stream(context, &parts.streams), parts_(parts), stream_(parts.agents.NewStream()) {}

  void Begin() { this->StartRead(&incoming_); }

  void OnReadDone(bool ok) override;
  void Look() override {}

  void SendOrders(const Orders& orders) override;
  bool AskLog(ReadLogChunk request, LogAnswered answered) override;
  bool Forward(CoordinatorMessage message) override;
  void Replace(const absl::Status& status) override;

 private:
  bool Next(CoordinatorMessage& message) override;
  void Closed() override;

  // False ends the reading: the stream is over.
  bool Handle();
  bool HandleJoin();
  void OnJoined(const absl::Status& status);
  void PostReport(NodeReport report);
  void OnReportAnswered(const absl::Status& status);
  void HandleLogChunk();
  void HandleRemoteStart();
  void HandleRemoteEnd();
  std::shared_ptr<AgentStream> Self() {
    return std::static_pointer_cast<AgentStream>(this->shared_from_this());
  }

  const CoordinatorParts parts_;
  AgentMessage incoming_;  // of the one read that is going on
  std::string node_;       // set by the first message, then constant
  const uint64_t stream_;  // told apart from all others

  // Guarded by mutex_.
  std::optional<Orders> orders_;
  std::deque<CoordinatorMessage> messages_;
  std::map<uint64_t, LogAnswered> asked_;
  uint64_t next_request_ = 1;
  bool closed_ = false;
  bool report_posted_ = false;  // one at a time; then the newest
  std::optional<NodeReport> report_;
};

// kInvalidArgument for a node that no agent of ours would say it is.
absl::Status CheckJoin(const Node& node);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_AGENT_STREAM_H_
