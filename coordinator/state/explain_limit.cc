#include "coordinator/state/explain_limit.h"

#include <algorithm>
#include <string>
#include <vector>

#include "coordinator/state/explain_text.h"
#include "coordinator/state/node_load.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

using Kind = LimitBroken::Kind;

bool CountsAgainst(const LimitBroken& limit, const Job& other, const Job& job) {
  if (limit.kind == Kind::kArray) return other.array() == job.array();
  const std::vector<std::string> subjects = SubjectsOf(other);
  return std::find(subjects.begin(), subjects.end(), limit.subject) != subjects.end();
}

Explanation ExplainAmount(const LimitBroken& limit) {
  const bool gpus = limit.kind == Kind::kGpus;
  const auto amount = [&](int64_t count) {
    return gpus ? CountText(count, "GPU", "GPUs") : CoresText(count);
  };
  const std::string less = gpus ? "lower --gpus to " : "ask for fewer cores: at most ";
  const auto to = [&](int64_t count) { return gpus ? std::to_string(count) : CoresText(count); };
  if (limit.wanted > limit.limit) {
    return Say(Explanation::QUOTA,
               fmt::format("it asks for {}, and the quota of {} is {}: it never starts",
                           amount(limit.wanted), limit.subject, amount(limit.limit)),
               fmt::format("{}{}, or have the quota raised", less, to(limit.limit)));
  }
  const int64_t left = std::max<int64_t>(0, limit.limit - limit.held);
  const std::string wait = fmt::format("wait until others of {} end", limit.subject);
  return Say(Explanation::QUOTA,
             fmt::format("it asks for {}; the quota of {} is {}, and {} {} held or come first",
                         amount(limit.wanted), limit.subject, amount(limit.limit), to(limit.held),
                         limit.held == (gpus ? 1 : 1000) ? "is" : "are"),
             left == 0 ? wait : fmt::format("{}{}, or {}", less, to(left), wait));
}

Explanation ExplainBroken(const LimitBroken& limit) {
  const std::string jobs = CountText(limit.limit, "job", "jobs");
  const std::string runs = limit.held == 1 ? "runs or comes first" : "run or come first";
  switch (limit.kind) {
    case Kind::kArray:
      return Say(Explanation::WAITING,
                 fmt::format("of its array {} may run at once, and {} {}", jobs, limit.held, runs));
    case Kind::kRunningJobs:
      return Say(Explanation::QUOTA,
                 fmt::format("the quota of {} is {} at once, and {} {}", limit.subject, jobs,
                             limit.held, runs),
                 fmt::format("wait until others of {} end", limit.subject));
    default:
      return ExplainAmount(limit);
  }
}

}  // namespace

Explanation ExplainLimit(const JobList& holding, const Job& job, const LimitBroken& limit) {
  Explanation explanation = ExplainBroken(limit);
  for (const Job* other : holding) {
    if (CountsAgainst(limit, *other, job)) explanation.add_waits_for(other->id());
  }
  return explanation;
}

}  // namespace tanren::coordinator
