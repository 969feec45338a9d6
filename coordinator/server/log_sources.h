// Which ranks' logs a reader is to get, and where each lies.
#ifndef TANREN_COORDINATOR_SERVER_LOG_SOURCES_H_
#define TANREN_COORDINATOR_SERVER_LOG_SOURCES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/state/cluster.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

struct LogSource {
  int32_t rank = 0;  // within the role
  std::string node;
};

// An attempt, as far as its logs go.
struct LoggedAttempt {
  AttemptToken token;
  std::string role;
  std::vector<LogSource> sources;
  bool ended = false;  // nothing more will be written
};

struct LogPlace {
  std::vector<LoggedAttempt> attempt;  // one, or none as long as there is none
  bool job_ended = false;
};

// Where the log that `request` asks for is. `attempt` is the one wanted; 0: the last. kNotFound
// for a job or an attempt that isn't known, kInvalidArgument for a role or a rank that the job
// doesn't have, with those that it has.
absl::StatusOr<LogPlace> FindLog(const Cluster& cluster, const LogRequest& request,
                                 uint32_t attempt);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_LOG_SOURCES_H_
