// Many jobs: asked for in as many messages as it takes, and as a table.
#ifndef TANREN_COORDINATOR_CLIENT_JOB_LIST_H_
#define TANREN_COORDINATOR_CLIENT_JOB_LIST_H_

#include <string>

#include "absl/status/statusor.h"
#include "coordinator/client/client.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

// At most `limit` jobs.
absl::StatusOr<ListJobsReply> ListJobs(Client& client, ListJobsRequest request, int limit);

// A line each, cut at the terminal's width.
std::string RenderJobs(const ListJobsReply& reply, bool with_user);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_JOB_LIST_H_
