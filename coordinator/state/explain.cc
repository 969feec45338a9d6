#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/state/explain_limit.h"
#include "coordinator/state/explain_room.h"
#include "coordinator/state/explain_text.h"
#include "coordinator/state/schedule.h"
#include "coordinator/state/schedule_pass.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

std::string StateWords(const Job& job) { return Words(JobState_Name(job.state())); }

// Of one that has ended: "failed", "was cancelled".
std::string EndWords(const Job& job) {
  return job.state() == CANCELLED ? "was cancelled" : StateWords(job);
}

// What no pass could make sense of; CheckSpec looks closer.
std::string WhatIsInvalid(const JobSpec& spec) {
  if (spec.roles().empty()) return "it has no role, and so no rank to start";
  for (const Role& role : spec.roles()) {
    if (role.ranks() < 1) {
      return fmt::format("role {} has {} ranks; at least 1 is needed", role.name(), role.ranks());
    }
    const Resources& each = role.per_rank();
    if (each.gpus() < 0 || each.cpu_millis() < 0 || each.memory_bytes() < 0) {
      return fmt::format("role {} asks for less than nothing a rank", role.name());
    }
  }
  return "";
}

class PendingExplainer {
 public:
  PendingExplainer(const Cluster& cluster, const ScheduleOptions& options, Now now, const Job& job,
                   bool arriving)
      : cluster_(cluster), options_(options), now_(now), job_(job), arriving_(arriving) {}

  Explanation Explain() {
    if (const std::string invalid = WhatIsInvalid(job_.spec()); !invalid.empty()) {
      return Say(Explanation::INVALID, invalid);
    }
    if (job_.held()) return Held();
    if (!DependenciesMet(cluster_, job_)) return Depends();
    Pass pass(cluster_, options_, now_, &job_, arriving_);
    pass.Run();
    const Verdict& verdict = pass.verdict();
    switch (verdict.kind) {
      case Verdict::Kind::kNotReached:
        return Say(Explanation::WAITING, "it is being cancelled");
      case Verdict::Kind::kStarts:
        return Starts();
      case Verdict::Kind::kLimit:
        return ExplainLimit(pass.holding(), job_, *verdict.limit);
      default:
        break;
    }
    if (job_.spec().launcher() == "slurm") return NoWholeCluster(pass.nodes());
    return ExplainRoom(cluster_, options_, now_, job_, arriving_, pass);
  }

 private:
  std::string Demand() const { return "it asks for " + DemandText(job_.spec()); }

  Explanation Held() const {
    const std::string why = job_.hold_reason();
    return Say(Explanation::HELD, why.empty() ? "it is held" : "it is held: " + why,
               arriving_ ? "submit it without --hold"
                         : fmt::format("release it: tanren release {}", job_.id()));
  }

  Explanation Depends() const {
    std::vector<std::string> waits;
    std::string never;
    Explanation explanation;
    for (const Dependency& dependency : job_.spec().dependencies()) {
      const Job* other = cluster_.FindJob(dependency.job());
      const char* const end = dependency.kind() == Dependency::AFTER_SUCCESS   ? "success"
                              : dependency.kind() == Dependency::AFTER_FAILURE ? "failure"
                                                                               : "end";
      if (other == nullptr) {
        if (dependency.kind() == Dependency::AFTER_END) continue;
        never = fmt::format("it waits for the {} of job {}, of which nothing is known", end,
                            dependency.job());
      } else if (!IsTerminal(other->state())) {
        waits.push_back(
            fmt::format("the {} of job {}, which is {}", end, other->id(), StateWords(*other)));
        explanation.add_waits_for(other->id());
      } else if ((dependency.kind() == Dependency::AFTER_SUCCESS && other->state() != SUCCEEDED) ||
                 (dependency.kind() == Dependency::AFTER_FAILURE && other->state() != FAILED)) {
        never = fmt::format("it waits for the {} of job {}, which {}: it can't start", end,
                            other->id(), EndWords(*other));
      }
    }
    Explanation said =
        never.empty() ? Say(Explanation::DEPENDENCY, "it waits for " + ListText(waits))
                      : Say(Explanation::DEPENDENCY, never, "submit it again without that job");
    *said.mutable_waits_for() = explanation.waits_for();
    return said;
  }

  Explanation Starts() const {
    if (job_.not_before_ms() > now_.wall_ms) {
      const std::string& why = job_.attempt().end().message();
      Explanation explanation = Say(
          Explanation::BACK_OFF,
          fmt::format("its last attempt failed ({} since the last checkpoint); the next one may "
                      "begin in {}{}",
                      CountText(job_.failures(), "failure", "failures"),
                      DurationText(job_.not_before_ms() - now_.wall_ms),
                      why.empty() ? "" : ". How it ended: " + why));
      explanation.set_estimated_start_ms(job_.not_before_ms());
      return explanation;
    }
    Explanation explanation =
        Say(Explanation::STARTS_NOW, fmt::format("{}, and there is room: it starts now", Demand()));
    explanation.set_estimated_start_ms(now_.wall_ms);
    return explanation;
  }

  Explanation NoWholeCluster(const NodeTable& nodes) const {
    const std::map<std::string, std::string> labels(job_.spec().node_labels().begin(),
                                                    job_.spec().node_labels().end());
    std::vector<std::string> away;
    for (const NodeTable::Entry& entry : nodes.whole_clusters()) {
      const auto& excluded = job_.spec().excluded_nodes();
      if (HasLabels(*entry.node, labels) &&
          std::find(excluded.begin(), excluded.end(), entry.node->name()) == excluded.end()) {
        away.push_back(UnusableNodeText(*entry.node));
      }
    }
    if (away.empty()) {
      return Say(Explanation::NEVER_FITS,
                 "it is for Slurm, and no node that it may use stands for a Slurm cluster",
                 "start an agent with the Slurm launcher, or leave out --launcher slurm");
    }
    return Say(Explanation::DRAINED,
               fmt::format("its Slurm cluster takes no work now: {}", ListText(away)));
  }

  const Cluster& cluster_;
  const ScheduleOptions& options_;
  const Now now_;
  const Job& job_;
  const bool arriving_;
};

Explanation Runs(const Job& job, Now now) {
  std::vector<std::string> nodes;
  for (const Placement& placement : job.attempt().placements()) {
    if (std::find(nodes.begin(), nodes.end(), placement.node()) == nodes.end()) {
      nodes.push_back(placement.node());
    }
  }
  const int64_t since =
      job.attempt().running_ms() > 0 ? job.attempt().running_ms() : job.attempt().placed_ms();
  std::string text = fmt::format("it is {} on {}, for {}", StateWords(job), ListText(nodes),
                                 DurationText(now.wall_ms - since));
  if (job.state() == STARTING && !job.attempt().slurm_reason().empty()) {
    text += fmt::format("; Slurm's job {} waits there: {}", job.attempt().slurm_job(),
                        job.attempt().slurm_reason());
  }
  if (job.state() == STOPPING) {
    text = fmt::format("it is being stopped on {} ({})", ListText(nodes),
                       Words(StopReason_Name(job.attempt().stop_reason())));
  }
  if (job.state() == UNKNOWN) {
    text = fmt::format("one of its nodes ({}) is silent: it goes on if that is back in time",
                       ListText(nodes));
  }
  return Say(Explanation::RUNS, text);
}

}  // namespace

Explanation Explain(const Cluster& cluster, const ScheduleOptions& options, uint64_t id, Now now) {
  const Job* job = cluster.FindJob(id);
  if (job == nullptr) return Say(Explanation::INVALID, fmt::format("there is no job {}", id));
  if (IsTerminal(job->state())) {
    const std::string why = job->end_message();
    if (job->state() == CANCELLED && why.starts_with("cancelled")) {
      return Say(Explanation::ENDED, "it was " + why);
    }
    return Say(Explanation::ENDED,
               fmt::format("it {}{}{}", EndWords(*job), why.empty() ? "" : ": ", why));
  }
  if (HoldsNodes(job->state())) return Runs(*job, now);
  return PendingExplainer(cluster, options, now, *job, false).Explain();
}

Explanation ExplainDryRun(const Cluster& cluster, const ScheduleOptions& options, const Job& asked,
                          Now now) {
  Job job = asked;
  if (job.id() == 0) job.set_id(cluster.next_job);
  job.set_state(PENDING);
  job.set_held(job.held() || job.spec().held());
  if (job.submitted_ms() == 0) job.set_submitted_ms(now.wall_ms);
  return PendingExplainer(cluster, options, now, job, true).Explain();
}

}  // namespace tanren::coordinator
