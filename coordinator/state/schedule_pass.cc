#include "coordinator/state/schedule_pass.h"

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "coordinator/state/attempt_end.h"

namespace tanren::coordinator {
namespace {

// Each looks at all that runs; the next pass goes on with those that are left.
constexpr int kMostPreemptionsOfPass = 8;
// Each costs another look for room.
constexpr size_t kMostAvoidedAlone = 4;

bool Flag(std::vector<bool>& flags, int number) {
  if (static_cast<int>(flags.size()) <= number) flags.resize(number + 1);
  return flags[number];
}

std::vector<NodeShare> SharesOf(const std::vector<GangPart>& parts) {
  std::vector<NodeShare> shares;
  shares.reserve(parts.size());
  for (const GangPart& part : parts) shares.push_back(part.share);
  return shares;
}

}  // namespace

Pass::Pass(const Cluster& cluster, const ScheduleOptions& options, Now now, const Job* observed,
           bool arriving)
    : cluster_(cluster),
      options_(options),
      now_(now),
      observed_(observed),
      arriving_(arriving),
      holding_(JobsOf(cluster, cluster.holding)),
      nodes_(cluster),
      shapes_(nodes_),
      holders_(holding_, nodes_, now),
      limits_(cluster, holding_, holders_.use),
      free_now_(nodes_, shapes_, Board::Fill::kFreeNow),
      waiting_left_(std::max(1, options.reservations)),
      searches_left_(options.preemption ? kMostPreemptionsOfPass : 0) {}

const Plan& Pass::Run() {
  const uint64_t always = observed_ != nullptr && !arriving_ ? observed_->id() : 0;
  JobList order;
  for (const QueuedJob& queued :
       Queue(cluster_, holders_.use, options_, now_, arriving_ ? observed_ : nullptr, always)) {
    order.push_back(queued.job);
  }
  for (size_t i = 0; i < order.size() && !observed_done_; ++i) {
    PrefetchAfter<JobPart::kRoles>(order, i);
    Consider(*order[i]);
  }
  return plan_;
}

void Pass::Say(const Job& job, Verdict verdict) {
  if (&job != observed_) return;
  verdict_ = std::move(verdict);
  observed_done_ = true;
}

int64_t Pass::EndOf(const Job& job, int64_t start_ms) const {
  return job.spec().time_limit_ms() > 0 ? start_ms + job.spec().time_limit_ms() : 0;
}

bool Pass::IsLasting(const Job& job) const {
  const int64_t end = EndOf(job, now_.wall_ms);
  return end == 0 || end > first_reservation_ms_;
}

Board& Pass::RoomFor(const Job& job) {
  // What is kept for itself is its own to use.
  const bool first = plan_.reservations.size() == 1 && plan_.reservations[0].job == job.id();
  return IsLasting(job) && beside_reserved_.has_value() && !first ? *beside_reserved_ : free_now_;
}

void Pass::Consider(const Job& job) {
  const bool lasting = IsLasting(job);
  if (auto broken = limits_.Broken(job, lasting)) {
    Say(job, {Verdict::Kind::kLimit, std::move(broken)});
    return;
  }
  if (job.spec().launcher() == "slurm") {
    ConsiderWholeCluster(job);
    return;
  }
  const Shape& shape = shapes_.Of(job.spec());
  if (TryElsewhere(job, lasting) || TryStart(job, shape, lasting)) return;
  if (waiting_left_ > 0) {
    Wait(job, shape);
  } else if (&job == observed_) {
    Say(job, {FitsEmptied(shape) ? Verdict::Kind::kNoRoom : Verdict::Kind::kNeverFits});
  }
}

// Without any of the nodes that failed the job; or, where there is no room, without one of them: of
// two that don't reach each other either may do.
bool Pass::TryElsewhere(const Job& job, bool lasting) {
  const std::vector<std::string> avoided = NodesToAvoid(job);
  const auto try_without = [&](std::span<const std::string> nodes) {
    JobSpec spec;
    *spec.mutable_roles() = job.spec().roles();
    *spec.mutable_node_labels() = job.spec().node_labels();
    *spec.mutable_excluded_nodes() = job.spec().excluded_nodes();
    for (const std::string& node : nodes) spec.add_excluded_nodes(node);
    return TryStart(job, shapes_.Of(spec), lasting);
  };
  if (avoided.empty()) return false;
  if (try_without(avoided)) return true;
  if (avoided.size() == 1) return false;
  for (size_t i = 0; i < std::min(avoided.size(), kMostAvoidedAlone); ++i) {
    if (try_without({&avoided[i], 1})) return true;
  }
  return false;
}

// The other cluster queues, counts and places: all ranks go to the one node that stands for it.
void Pass::ConsiderWholeCluster(const Job& job) {
  const auto& clusters = nodes_.whole_clusters();
  if (whole_cluster_jobs_.empty()) {
    for (const NodeTable::Entry& entry : clusters) {
      whole_cluster_jobs_.push_back(
          entry.load == nullptr ? 0 : static_cast<int>(entry.load->jobs.size()));
    }
  }
  const std::map<std::string, std::string> labels(job.spec().node_labels().begin(),
                                                  job.spec().node_labels().end());
  const auto& excluded = job.spec().excluded_nodes();
  int best = -1;
  for (int i = 0; i < static_cast<int>(clusters.size()); ++i) {
    if (!clusters[i].usable || !HasLabels(*clusters[i].node, labels)) continue;
    if (std::find(excluded.begin(), excluded.end(), clusters[i].node->name()) != excluded.end()) {
      continue;
    }
    if (best < 0 || whole_cluster_jobs_[i] < whole_cluster_jobs_[best]) best = i;
  }
  if (best < 0 || job.spec().roles().empty()) {
    Say(job, {Verdict::Kind::kNeverFits});
    return;
  }
  ++whole_cluster_jobs_[best];
  PlannedStart start;
  start.job = job.id();
  for (const Role& role : job.spec().roles()) {
    Placement& placement = start.placements.emplace_back();
    placement.set_node(clusters[best].node->name());
    placement.set_role(role.name());
    placement.set_ranks(role.ranks());
  }
  plan_.starts.push_back(std::move(start));
  limits_.Start(job);
  Say(job, {Verdict::Kind::kStarts});
}

bool Pass::TryStart(const Job& job, const Shape& shape, bool lasting) {
  const bool beside = lasting && beside_reserved_.has_value();
  std::vector<bool>& failed = beside ? failed_beside_ : failed_now_;
  // What is free becomes only less in a pass.
  if (Flag(failed_now_, shape.number) || Flag(failed, shape.number)) return false;
  Board& board = beside ? *beside_reserved_ : free_now_;
  std::vector<GangPart> parts;
  if (!PlaceGang(shape, board, parts)) {
    failed[shape.number] = true;
    return false;
  }
  board.Commit();
  for (std::optional<Board>* other : {&beside_reserved_, &freeing_, &future_}) {
    if (!other->has_value() || &**other == &board) continue;
    // By the time of the future board short work has ended.
    if (other == &future_ && !lasting) continue;
    for (const GangPart& part : parts) (*other)->Take(part.share, lasting);
    (*other)->Commit();
  }
  if (beside) {
    for (const GangPart& part : parts) free_now_.Take(part.share, lasting);
    free_now_.Commit();
  }
  if (waiting_left_ > 0) Begin(job, parts);
  limits_.Start(job);
  plan_.starts.push_back({job.id(), ToPlacements(job.spec(), shape, nodes_, std::move(parts))});
  Say(job, {Verdict::Kind::kStarts});
  return true;
}

bool Pass::FitsEmptied(const Shape& shape) {
  if (static_cast<int>(fits_emptied_.size()) <= shape.number) {
    fits_emptied_.resize(shape.number + 1);
  }
  std::optional<bool>& fits = fits_emptied_[shape.number];
  if (!fits.has_value()) {
    if (!emptied_.has_value()) emptied_.emplace(nodes_, shapes_, Board::Fill::kEmptied);
    std::vector<GangPart> parts;
    fits = PlaceGang(shape, *emptied_, parts);
    emptied_->UndoTo(0);
  }
  return *fits;
}

void Pass::Begin(const Job& job, const std::vector<GangPart>& parts) {
  begun_shares_.push_back(SharesOf(parts));
  begun_.push_back({EndOf(job, now_.wall_ms), job.id(), nullptr, begun_shares_.back()});
}

}  // namespace tanren::coordinator
