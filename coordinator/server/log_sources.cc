#include "coordinator/server/log_sources.h"

#include <algorithm>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

const Attempt* FindAttempt(const Job& job, uint32_t number) {
  if (!job.has_attempt()) return nullptr;
  if (number == 0 || job.attempt().token().attempt() == number) return &job.attempt();
  for (const Attempt& earlier : job.earlier_attempts()) {
    if (earlier.token().attempt() == number) return &earlier;
  }
  return nullptr;
}

absl::StatusOr<const Role*> FindRole(const JobSpec& spec, const std::string& name) {
  std::vector<std::string> names;
  for (const Role& role : spec.roles()) {
    if (name.empty() || role.name() == name) return &role;
    names.push_back(role.name());
  }
  return absl::InvalidArgumentError(
      fmt::format("role: found {}; the job has {}", name, fmt::join(names, ", ")));
}

std::vector<LogSource> SourcesOf(const Attempt& attempt, const std::string& role, int32_t rank) {
  std::vector<LogSource> sources;
  for (const Placement& placement : attempt.placements()) {
    if (placement.role() != role) continue;
    for (int32_t i = 0; i < placement.ranks(); ++i) {
      const int32_t found = placement.first_rank() + i;
      if (rank < 0 || found == rank) sources.push_back({found, placement.node()});
    }
  }
  std::sort(sources.begin(), sources.end(),
            [](const LogSource& a, const LogSource& b) { return a.rank < b.rank; });
  return sources;
}

}  // namespace

absl::StatusOr<LogPlace> FindLog(const Cluster& cluster, const LogRequest& request,
                                 uint32_t attempt) {
  const Job* const job = cluster.FindJob(request.job());
  if (job == nullptr) return cluster.NoJob(request.job());
  TANREN_ASSIGN_OR_RETURN(const Role* const role, FindRole(job->spec(), request.role()));
  if (request.rank() < -1 || request.rank() >= role->ranks()) {
    return absl::InvalidArgumentError(
        fmt::format("rank: found {}; {} has the ranks 0 to {}, and -1 stands for all of them",
                    request.rank(), role->name(), role->ranks() - 1));
  }
  LogPlace place;
  place.job_ended = IsTerminal(job->state());
  const Attempt* const found = FindAttempt(*job, attempt);
  if (found == nullptr) {
    if (attempt == 0 || (attempt > job->attempts() && !place.job_ended)) return place;
    return absl::NotFoundError(fmt::format("job {} has no attempt {} any more; it has had {}",
                                           request.job(), attempt, job->attempts()));
  }
  LoggedAttempt logged{found->token(), role->name(),
                       SourcesOf(*found, role->name(), request.rank()), found->ended_ms() != 0};
  place.attempt.push_back(std::move(logged));
  return place;
}

}  // namespace tanren::coordinator
