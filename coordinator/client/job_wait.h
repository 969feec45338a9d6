// Waiting for jobs.
#ifndef TANREN_COORDINATOR_CLIENT_JOB_WAIT_H_
#define TANREN_COORDINATOR_CLIENT_JOB_WAIT_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/client/client.h"
#include "proto/job.pb.h"

namespace tanren::coordinator {

// Returns the jobs once all of them have ended, in the given order. A coordinator that restarts
// meanwhile is waited for.
absl::StatusOr<std::vector<Job>> WaitForJobs(Client& client, const std::vector<uint64_t>& jobs);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_JOB_WAIT_H_
