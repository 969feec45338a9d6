// What may come in from outside: names, sizes and ranges.
#ifndef TANREN_COORDINATOR_STATE_SPEC_CHECK_H_
#define TANREN_COORDINATOR_STATE_SPEC_CHECK_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/state/core.h"
#include "proto/job.pb.h"

namespace tanren::coordinator {

// Letters, digits, ".", "_", "-", beginning with a letter or digit; 1 to `longest` of them.
bool IsSafeName(std::string_view name, size_t longest);

// What users may set in JobSpec.slurm: options of sbatch, by their names.
const std::vector<std::string>& SlurmKeys();

// kInvalidArgument: a node whose name, address or hardware can't be.
absl::Status CheckNode(const Node& node);
// kInvalidArgument: a request id is 1 to 128 letters, digits, ".", "_", "-", ":".
absl::Status CheckRequestId(std::string_view request_id);
absl::Status CheckQuota(const Quota& quota);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_SPEC_CHECK_H_
