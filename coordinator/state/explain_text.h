// How explanations are put into words.
#ifndef TANREN_COORDINATOR_STATE_EXPLAIN_TEXT_H_
#define TANREN_COORDINATOR_STATE_EXPLAIN_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/state/placement_nodes.h"
#include "coordinator/state/placement_shape.h"
#include "proto/coordinator.pb.h"
#include "proto/job.pb.h"

namespace tanren::coordinator {

// Both without a full stop, and with or without a capital.
Explanation Say(Explanation::Reason reason, std::string text, std::string would_help = "");

std::string CountText(int64_t count, const std::string& singular, const std::string& plural);
std::string CoresText(int64_t cpu_millis);  // "1 core", "2.5 cores"
std::string MemoryText(int64_t bytes);      // "16 GiB"
std::string DurationText(int64_t ms);       // "40 s", "12 min", "3 h 20 min", "2 d 4 h"
// "8 GPUs, 4 cores and 16 GiB of memory"; what is 0 is left out.
std::string AmountText(const Amount& amount);
// "job 3", "jobs 3, 5 and 9", "jobs 1, 2, 3, 4, 5 and 7 others".
std::string JobsText(const std::vector<uint64_t>& jobs);
std::string ListText(const std::vector<std::string>& items);
// "4 ranks of 2 GPUs"; roles by name where there are several.
std::string DemandText(const JobSpec& spec);
// "t3 (draining: new disk)", "t4 (silent)".
std::string UnusableNodeText(const Node& node);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_EXPLAIN_TEXT_H_
