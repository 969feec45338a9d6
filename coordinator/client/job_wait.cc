#include "coordinator/client/job_wait.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "coordinator/client/job_text.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

constexpr auto kShortestWait = std::chrono::milliseconds(20);
constexpr auto kLongestWait = std::chrono::milliseconds(500);

absl::StatusOr<Job> WaitForJob(Client& client, uint64_t id) {
  JobRequest request;
  request.set_job(id);
  auto wait = kShortestWait;
  while (true) {
    TANREN_ASSIGN_OR_RETURN(JobReply reply, client.Call(client.jobs(), &Jobs::Stub::Get, request));
    if (HasEnded(reply.job().state())) return std::move(*reply.mutable_job());
    std::this_thread::sleep_for(wait);
    wait = std::min<std::chrono::milliseconds>(wait * 3 / 2, kLongestWait);
  }
}

}  // namespace

absl::StatusOr<std::vector<Job>> WaitForJobs(Client& client, const std::vector<uint64_t>& jobs) {
  std::vector<Job> ended;
  for (const uint64_t id : jobs) {
    TANREN_ASSIGN_OR_RETURN(ended.emplace_back(), WaitForJob(client, id));
  }
  return ended;
}

}  // namespace tanren::coordinator
