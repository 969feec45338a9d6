// What is checked of a job before the core sees it.
#ifndef TANREN_COORDINATOR_SERVER_SUBMISSION_H_
#define TANREN_COORDINATOR_SERVER_SUBMISSION_H_

#include "absl/status/status.h"
#include "coordinator/state/core.h"
#include "proto/job.pb.h"

namespace tanren::coordinator {

// Sizes, the core's rules, and the recipe itself: kInvalidArgument with the text that
// `tanren-worker recipe` gives, a line for each problem. kPermissionDenied for a command where none
// are allowed.
absl::Status CheckSubmission(const JobSpec& spec, const CoreOptions& options);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_SUBMISSION_H_
