#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/state/explain_estimate.h"
#include "coordinator/state/explain_fit.h"
#include "coordinator/state/explain_text.h"
#include "coordinator/state/schedule.h"
#include "coordinator/state/schedule_pass.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

Explanation Say(Explanation::Reason reason, std::string text, std::string would_help = "") {
  const auto sentence = [](std::string words) {
    if (!words.empty() && words.back() != '.') words += '.';
    if (!words.empty() && words[0] >= 'a' && words[0] <= 'z') words[0] -= 'a' - 'A';
    return words;
  };
  Explanation explanation;
  explanation.set_reason(reason);
  explanation.set_text(sentence(std::move(text)));
  explanation.set_what_would_help(sentence(std::move(would_help)));
  return explanation;
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
    const Plan& plan = pass.Run();
    const Verdict& verdict = pass.verdict();
    switch (verdict.kind) {
      case Verdict::Kind::kNotReached:
        return Say(Explanation::WAITING, "it is being cancelled");
      case Verdict::Kind::kStarts:
        return Starts();
      case Verdict::Kind::kLimit:
        return Limited(*verdict.limit);
      default:
        break;
    }
    if (job_.spec().launcher() == "slurm") return NoWholeCluster(pass.nodes());
    const Shape& shape = pass.shapes().Of(job_.spec());
    Board fleet(pass.nodes(), pass.shapes(), Board::Fill::kWholeFleet);
    if (!Fits(shape, fleet)) return NeverFits(shape, fleet);
    if (verdict.kind == Verdict::Kind::kNeverFits) return Drained(shape, pass);
    return NoRoom(shape, pass, plan, verdict);
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
        waits.push_back(fmt::format("the {} of job {}, which is {}", end, other->id(),
                                    JobState_Name(other->state())));
        explanation.add_waits_for(other->id());
      } else if ((dependency.kind() == Dependency::AFTER_SUCCESS && other->state() != SUCCEEDED) ||
                 (dependency.kind() == Dependency::AFTER_FAILURE && other->state() != FAILED)) {
        never = fmt::format("it waits for the {} of job {}, which is {}: it can't start", end,
                            other->id(), JobState_Name(other->state()));
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
      Explanation explanation = Say(
          Explanation::BACK_OFF,
          fmt::format("its last attempt failed ({} since the last checkpoint); the next one may "
                      "begin in {}",
                      CountText(job_.failures(), "failure", "failures"),
                      DurationText(job_.not_before_ms() - now_.wall_ms)));
      explanation.set_estimated_start_ms(job_.not_before_ms());
      return explanation;
    }
    Explanation explanation =
        Say(Explanation::STARTS_NOW, fmt::format("{}, and there is room: it starts now", Demand()));
    explanation.set_estimated_start_ms(now_.wall_ms);
    return explanation;
  }

  Explanation Limited(const LimitBroken& limit) const {
    std::vector<uint64_t> holders;
    for (uint64_t id : cluster_.holding) {
      const Job& other = *cluster_.FindJob(id);
      const bool counts = limit.kind == LimitBroken::Kind::kArray
                              ? other.array() == job_.array()
                              : limit.subject == "user/" + other.user() ||
                                    limit.subject == "project/" + other.spec().project();
      if (counts) holders.push_back(id);
    }
    Explanation explanation = LimitedText(limit);
    for (uint64_t id : holders) explanation.add_waits_for(id);
    return explanation;
  }

  Explanation LimitedText(const LimitBroken& limit) const {
    if (limit.kind == LimitBroken::Kind::kArray) {
      return Say(Explanation::WAITING,
                 fmt::format("of its array {} may run at once, and {} do or come first",
                             CountText(limit.limit, "job", "jobs"), limit.held));
    }
    if (limit.kind == LimitBroken::Kind::kRunningJobs) {
      return Say(Explanation::QUOTA,
                 fmt::format("the quota of {} is {} at once, and {} run or come first",
                             limit.subject, CountText(limit.limit, "job", "jobs"), limit.held));
    }
    const bool gpus = limit.kind == LimitBroken::Kind::kGpus;
    const auto amount = [&](int64_t count) {
      return gpus ? CountText(count, "GPU", "GPUs") : CoresText(count);
    };
    const int64_t left = std::max<int64_t>(0, limit.limit - limit.held);
    const std::string option = gpus ? "lower --gpus to " : "ask for fewer cores: at most ";
    if (limit.wanted > limit.limit) {
      return Say(Explanation::QUOTA,
                 fmt::format("it asks for {}, and the quota of {} is {}: it never starts",
                             amount(limit.wanted), limit.subject, amount(limit.limit)),
                 gpus ? fmt::format("{}{}", option, limit.limit) : option + amount(limit.limit));
    }
    return Say(
        Explanation::QUOTA,
        fmt::format("it asks for {}; the quota of {} is {}, and {} are held or come first",
                    amount(limit.wanted), limit.subject, amount(limit.limit),
                    gpus ? std::to_string(limit.held) : CoresText(limit.held)),
        left == 0 ? ""
        : gpus    ? fmt::format("{}{}, or wait until others of {} end", option, left, limit.subject)
                  : option + amount(left));
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

  Explanation NeverFits(const Shape& shape, Board& fleet) const {
    FitText text = WhyNever(job_.spec(), shape, fleet);
    return Say(Explanation::NEVER_FITS, fmt::format("{}; {}", Demand(), text.why), text.would_help);
  }

  Explanation Drained(const Shape& shape, Pass& pass) const {
    std::vector<std::string> away;
    std::vector<std::string> draining;
    for (int node : pass.shapes().NodesWith(shape.labels)) {
      const NodeTable::Entry& entry = pass.nodes()[node];
      if (entry.usable || std::binary_search(shape.excluded.begin(), shape.excluded.end(), node)) {
        continue;
      }
      away.push_back(UnusableNodeText(*entry.node));
      if (entry.node->state() == Node::UP) draining.push_back(entry.node->name());
    }
    Board emptied(pass.nodes(), pass.shapes(), Board::Fill::kEmptied);
    const std::string smaller = SmallerThatFits(job_.spec(), shape, emptied);
    std::string help;
    if (!draining.empty())
      help = fmt::format("take a node back (tanren admin resume {})", draining.front());
    if (!smaller.empty()) help += (help.empty() ? "" : ", or ") + smaller;
    return Say(Explanation::DRAINED,
               fmt::format("{}; it would fit if {} took work", Demand(), ListText(away)), help);
  }

  Explanation NoRoom(const Shape& shape, Pass& pass, const Plan& plan, const Verdict& verdict) {
    Board free(pass.nodes(), pass.shapes(), Board::Fill::kFreeNow);
    TakeStarts(plan, pass.nodes(), free);
    const Amount in_all = FreeInAll(shape, free);
    const bool fits = Fits(shape, free);
    const std::string when = Waits(pass, plan, verdict, fits);
    Explanation explanation;
    if (fits) {
      explanation = Say(Explanation::WAITING,
                        fmt::format("{}; {} free, but {}", Demand(), IsOrAre(in_all), when),
                        ShorterHelps(plan, shape, free));
    } else if (IsEnough(in_all, shape.total)) {
      explanation = Say(Explanation::FRAGMENTED,
                        fmt::format("{}; {} free, but not together: {}; {}", Demand(),
                                    IsOrAre(in_all), Pieces(shape, free), when),
                        SmallerThatFits(job_.spec(), shape, free));
    } else {
      explanation =
          Say(Explanation::WAITING, fmt::format("{}; {} free; {}", Demand(), IsOrAre(in_all), when),
              SmallerThatFits(job_.spec(), shape, free));
    }
    for (uint64_t id : waits_for_) explanation.add_waits_for(id);
    explanation.set_estimated_start_ms(start_ms_);
    return explanation;
  }

  // What is free of what the job asks for.
  std::string IsOrAre(Amount free) const {
    const Amount total = TotalOf(job_.spec());
    std::vector<std::string> items;
    if (total.gpus > 0) items.push_back(CountText(free.gpus, "GPU", "GPUs"));
    if (total.cpu_millis > 0) items.push_back(CoresText(free.cpu_millis));
    if (total.memory_bytes > 0) items.push_back(MemoryText(free.memory_bytes));
    const bool one = items.size() == 1 && total.gpus > 0 && free.gpus == 1;
    return ListText(items) + (one ? " is" : " are");
  }

  std::string Pieces(const Shape& shape, Board& free) const {
    const Amount most = FreeOnOne(shape, free);
    if (shape.single_role() && shape.roles[0].ranks == 1) {
      return fmt::format("at most {} on one node", AmountText(most));
    }
    if (shape.single_role() && shape.total.gpus > 0) {
      return fmt::format("at most {} on one node, and there is room for {} of its {} ranks",
                         most.gpus, MostRanks(shape, 0, free), shape.roles[0].ranks);
    }
    if (shape.single_role()) {
      return fmt::format("there is room for {} of its {} ranks", MostRanks(shape, 0, free),
                         shape.roles[0].ranks);
    }
    return "no choice of nodes holds all its roles";
  }

  static void TakeStarts(const Plan& plan, const NodeTable& nodes, Board& board) {
    for (const PlannedStart& start : plan.starts) {
      for (const Placement& placement : start.placements) {
        const int node = nodes.Find(placement.node());
        if (node < 0) continue;
        NodeShare share{
            node,
            nodes.Bits(node, {placement.gpus().data(), static_cast<size_t>(placement.gpus_size())}),
            AmountOf(placement.total())};
        board.Take(share, true);
      }
    }
    board.Commit();
  }

  // Says for whom it waits, and fills waits_for_ and start_ms_.
  std::string Waits(Pass& pass, const Plan& plan, const Verdict& verdict, bool fits) {
    waits_for_ = verdict.waits_for;
    switch (verdict.kind) {
      case Verdict::Kind::kPreempts:
        start_ms_ = now_.wall_ms;
        return fmt::format("{} of lower priority {} way to it", JobsText(waits_for_),
                           waits_for_.size() == 1 ? "gives" : "give");
      case Verdict::Kind::kStoppingEnd:
        start_ms_ = now_.wall_ms;
        return waits_for_.empty()
                   ? "it comes next, once what is being stopped has ended"
                   : fmt::format("it starts when {} has been stopped", JobsText(waits_for_));
      case Verdict::Kind::kReserved:
        start_ms_ = verdict.start_ms;
        return fmt::format("it is next in line, and waits for {}{}", JobsText(waits_for_), When());
      default:
        break;
    }
    for (const Reservation& reservation : plan.reservations) {
      waits_for_.push_back(reservation.job);
    }
    start_ms_ = EstimateStart(cluster_, options_, now_, job_, arriving_);
    if (waits_for_.empty()) return "it waits for what runs" + When();
    const std::string first = waits_for_.size() == 1 ? "comes first" : "come first";
    if (fits) return fmt::format("kept for {}, which {}{}", JobsText(waits_for_), first, When());
    return fmt::format("{} {}{}", JobsText(waits_for_), first, When());
  }

  std::string When() const {
    if (start_ms_ == 0) return "; when it starts isn't known";
    return fmt::format("; it starts in about {}", DurationText(start_ms_ - now_.wall_ms));
  }

  // With an end before the reservation it could start at once.
  std::string ShorterHelps(const Plan& plan, const Shape& shape, Board& free) const {
    int64_t earliest = 0;
    for (const Reservation& reservation : plan.reservations) {
      if (reservation.start_ms == 0) return "";
      if (earliest == 0 || reservation.start_ms < earliest) earliest = reservation.start_ms;
    }
    const int64_t minutes = (earliest - now_.wall_ms) / 60'000;
    if (minutes < 1) return "";
    return fmt::format("a --time-limit of at most {}m lets it start before that", minutes);
  }

  const Cluster& cluster_;
  const ScheduleOptions& options_;
  const Now now_;
  const Job& job_;
  const bool arriving_;
  std::vector<uint64_t> waits_for_;
  int64_t start_ms_ = 0;
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
  std::string text = fmt::format("it is {} on {}, for {}", JobState_Name(job.state()),
                                 ListText(nodes), DurationText(now.wall_ms - since));
  if (job.state() == STOPPING) {
    text = fmt::format("it is being stopped on {} ({})", ListText(nodes),
                       StopReason_Name(job.attempt().stop_reason()));
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
    return Say(Explanation::ENDED, fmt::format("it is {}{}{}", JobState_Name(job->state()),
                                               why.empty() ? "" : ": ", why));
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
