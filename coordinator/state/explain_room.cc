#include "coordinator/state/explain_room.h"

#include <algorithm>
#include <string>
#include <vector>

#include "coordinator/state/explain_estimate.h"
#include "coordinator/state/explain_fit.h"
#include "coordinator/state/explain_text.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

class RoomExplainer {
 public:
  RoomExplainer(const Cluster& cluster, const ScheduleOptions& options, Now now, const Job& job,
                bool arriving, Pass& pass)
      : cluster_(cluster),
        options_(options),
        now_(now),
        job_(job),
        arriving_(arriving),
        pass_(pass),
        shape_(pass.shapes().Of(job.spec())) {}

  Explanation Explain() {
    Board fleet(pass_.nodes(), pass_.shapes(), Board::Fill::kWholeFleet);
    if (!Fits(shape_, fleet)) return NeverFits(fleet);
    if (pass_.verdict().kind == Verdict::Kind::kNeverFits) return Drained();
    return NoRoom();
  }

 private:
  std::string Demand() const { return "it asks for " + DemandText(job_.spec()); }

  Explanation NeverFits(Board& fleet) const {
    const FitText text = WhyNever(job_.spec(), shape_, fleet);
    return Say(Explanation::NEVER_FITS, fmt::format("{}; {}", Demand(), text.why), text.would_help);
  }

  Explanation Drained() const {
    std::vector<std::string> away;
    std::vector<std::string> draining;
    for (int node : pass_.shapes().NodesWith(shape_.labels)) {
      const NodeTable::Entry& entry = pass_.nodes()[node];
      if (entry.usable ||
          std::binary_search(shape_.excluded.begin(), shape_.excluded.end(), node)) {
        continue;
      }
      away.push_back(UnusableNodeText(*entry.node));
      if (entry.node->state() == Node::UP) draining.push_back(entry.node->name());
    }
    Board emptied(pass_.nodes(), pass_.shapes(), Board::Fill::kEmptied);
    const std::string smaller = SmallerThatFits(job_.spec(), shape_, emptied);
    std::string help;
    if (!draining.empty()) {
      help = fmt::format("take {} back (tanren admin resume {}{})",
                         draining.size() == 1 ? "the node" : "some of them", draining.front(),
                         draining.size() == 1 ? "" : ", …");
    }
    if (!smaller.empty()) help += (help.empty() ? "" : ", or ") + smaller;
    return Say(Explanation::DRAINED,
               fmt::format("{}; it would fit if {} took work", Demand(), ListText(away)), help);
  }

  Explanation NoRoom() {
    Board free(pass_.nodes(), pass_.shapes(), Board::Fill::kFreeNow);
    TakeStarts(free);
    const Amount in_all = FreeInAll(shape_, free);
    const bool fits = Fits(shape_, free);
    const bool in_pieces = !fits && IsEnough(in_all, shape_.total);
    const std::string when = Waits(fits);
    std::string why;
    if (fits) {
      why = fmt::format("{} free, but {}", IsOrAre(in_all), when);
    } else if (in_pieces) {
      why = fmt::format("{} free, but not together: {}; {}", IsOrAre(in_all), Pieces(free), when);
    } else {
      why = fmt::format("{} free; {}", IsOrAre(in_all), when);
    }
    Explanation explanation = Say(in_pieces ? Explanation::FRAGMENTED : Explanation::WAITING,
                                  fmt::format("{}; {}", Demand(), why), WhatStartsNow());
    for (uint64_t id : waits_for_) explanation.add_waits_for(id);
    explanation.set_estimated_start_ms(start_.start_ms);
    return explanation;
  }

  // What is free of what the job asks for.
  std::string IsOrAre(Amount free) const {
    const Amount total = TotalOf(job_.spec());
    std::vector<std::string> items;
    if (total.gpus > 0) items.push_back(CountText(free.gpus, "GPU", "GPUs"));
    if (total.cpu_millis > 0) items.push_back(CoresText(free.cpu_millis));
    if (total.memory_bytes > 0) items.push_back(MemoryText(free.memory_bytes) + " of memory");
    const bool one = items.size() == 1 && ((total.gpus > 0 && free.gpus == 1) ||
                                           (total.cpu_millis > 0 && free.cpu_millis == 1000));
    return ListText(items) + (one ? " is" : " are");
  }

  std::string Pieces(Board& free) const {
    Amount most = FreeOnOne(shape_, free);
    if (shape_.total.gpus == 0) most.gpus = 0;
    if (shape_.total.cpu_millis == 0) most.cpu_millis = 0;
    if (shape_.total.memory_bytes == 0) most.memory_bytes = 0;
    if (shape_.single_role() && shape_.roles[0].ranks == 1) {
      return fmt::format("at most {} on one node", AmountText(most));
    }
    if (shape_.single_role() && shape_.total.gpus > 0) {
      return fmt::format("at most {} on one node, and there is room for {} of its {} ranks",
                         most.gpus, MostRanks(shape_, 0, free), shape_.roles[0].ranks);
    }
    if (shape_.single_role()) {
      return fmt::format("there is room for {} of its {} ranks", MostRanks(shape_, 0, free),
                         shape_.roles[0].ranks);
    }
    return "no choice of nodes holds all its roles";
  }

  void TakeStarts(Board& board) const {
    const NodeTable& nodes = pass_.nodes();
    for (const PlannedStart& start : pass_.plan().starts) {
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

  // Says for whom it waits, and fills waits_for_ and start_.
  std::string Waits(bool fits) {
    const Verdict& verdict = pass_.verdict();
    waits_for_ = verdict.waits_for;
    switch (verdict.kind) {
      case Verdict::Kind::kPreempts:
        start_.start_ms = now_.wall_ms;
        return fmt::format("{} of lower priority {} way to it", JobsText(waits_for_),
                           waits_for_.size() == 1 ? "gives" : "give");
      case Verdict::Kind::kStoppingEnd:
        start_.start_ms = now_.wall_ms;
        return waits_for_.empty()
                   ? "it comes next, once what is being stopped has ended"
                   : fmt::format("it starts when {} {} been stopped", JobsText(waits_for_),
                                 waits_for_.size() == 1 ? "has" : "have");
      case Verdict::Kind::kReserved:
        start_.start_ms = verdict.start_ms;
        if (start_.start_ms == 0) start_.endless = Endless(waits_for_);
        return fmt::format("it is next in line, and waits for {}{}", JobsText(waits_for_), When());
      default:
        break;
    }
    for (const Reservation& reservation : pass_.plan().reservations) {
      waits_for_.push_back(reservation.job);
    }
    start_ = EstimateStart(cluster_, options_, now_, job_, arriving_);
    if (waits_for_.empty()) return "it waits for what runs" + When();
    const std::string first = waits_for_.size() == 1 ? "comes first" : "come first";
    if (fits) return fmt::format("kept for {}, which {}{}", JobsText(waits_for_), first, When());
    return fmt::format("{} {}{}", JobsText(waits_for_), first, When());
  }

  std::vector<uint64_t> Endless(const std::vector<uint64_t>& jobs) const {
    std::vector<uint64_t> endless;
    for (uint64_t id : jobs) {
      if (cluster_.jobs.at(id).spec().time_limit_ms() == 0) endless.push_back(id);
    }
    return endless;
  }

  std::string When() const {
    if (start_.start_ms > 0) {
      return fmt::format("; it starts in about {}", DurationText(start_.start_ms - now_.wall_ms));
    }
    const std::string unknown = "; when it starts isn't known";
    if (start_.endless.empty()) return unknown;
    return fmt::format("{}, because {} {} no time limit", unknown, JobsText(start_.endless),
                       start_.endless.size() == 1 ? "has" : "have");
  }

  // A change with which it would start at once; empty: none is known.
  std::string WhatStartsNow() {
    if (const std::string shorter = ShorterThatFits(); !shorter.empty()) return shorter;
    return SmallerThatFits(job_.spec(), shape_, pass_.RoomFor(job_));
  }

  // With an end before the first reservation it may use what is kept.
  std::string ShorterThatFits() {
    int64_t earliest = 0;
    for (const Reservation& reservation : pass_.plan().reservations) {
      if (reservation.start_ms == 0 || reservation.job == job_.id()) return "";
      if (earliest == 0 || reservation.start_ms < earliest) earliest = reservation.start_ms;
    }
    const int64_t minutes = (earliest - now_.wall_ms) / 60'000;
    if (minutes < 1 || !Fits(shape_, pass_.RoomForShort())) return "";
    return fmt::format("a --time-limit of at most {}m lets it start now", minutes);
  }

  const Cluster& cluster_;
  const ScheduleOptions& options_;
  const Now now_;
  const Job& job_;
  const bool arriving_;
  Pass& pass_;
  const Shape& shape_;
  std::vector<uint64_t> waits_for_;
  StartEstimate start_;
};

}  // namespace

Explanation ExplainRoom(const Cluster& cluster, const ScheduleOptions& options, Now now,
                        const Job& job, bool arriving, Pass& pass) {
  return RoomExplainer(cluster, options, now, job, arriving, pass).Explain();
}

}  // namespace tanren::coordinator
