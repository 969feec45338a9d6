#include "coordinator/state/schedule_pass.h"

#include <algorithm>

#include "coordinator/state/schedule_preemption.h"

namespace tanren::coordinator {
namespace {

// Each looks at all that runs; the next pass goes on with those that are left.
constexpr int kMostPreemptionsOfPass = 8;

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
      nodes_(cluster),
      shapes_(nodes_),
      limits_(cluster),
      free_now_(nodes_, shapes_, Board::Fill::kFreeNow),
      waiting_left_(std::max(1, options.reservations)),
      searches_left_(options.preemption ? kMostPreemptionsOfPass : 0) {}

const Plan& Pass::Run() {
  const uint64_t always = observed_ != nullptr && !arriving_ ? observed_->id() : 0;
  for (const QueuedJob& queued :
       Queue(cluster_, options_, now_, arriving_ ? observed_ : nullptr, always)) {
    Consider(*queued.job);
    if (observed_done_) break;
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
  if (TryStart(job, shape, lasting)) return;
  if (waiting_left_ > 0) {
    Wait(job, shape);
  } else if (&job == observed_) {
    Say(job, {FitsEmptied(shape) ? Verdict::Kind::kNoRoom : Verdict::Kind::kNeverFits});
  }
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

const std::vector<RunningJob>& Pass::Running() {
  if (!running_.has_value()) running_ = RunningJobs(cluster_, nodes_, now_);
  return *running_;
}

void Pass::Wait(const Job& job, const Shape& shape) {
  if (!FitsEmptied(shape)) {
    Say(job, {Verdict::Kind::kNeverFits});
    return;
  }
  if (WaitForStopping(job, shape) || Preempt(job, shape)) return;
  --waiting_left_;
  if (options_.reservations > 0) {
    Reserve(job, shape);
  } else {
    Say(job, {Verdict::Kind::kNoRoom});
  }
}

void Pass::Begin(const Job& job, const std::vector<GangPart>& parts) {
  begun_shares_.push_back(SharesOf(parts));
  begun_.push_back({EndOf(job, now_.wall_ms), job.id(), begun_shares_.back()});
}

void Pass::MakeFreeing() {
  if (freeing_.has_value()) return;
  freeing_ = beside_reserved_.has_value() ? *beside_reserved_ : free_now_;
  for (const RunningJob& running : Running()) {
    if (!running.stopping) continue;
    for (const NodeShare& share : running.shares) freeing_->Give(share);
  }
  freeing_->Commit();
}

void Pass::KeepForSoon(const Job& job, const std::vector<GangPart>& parts) {
  freeing_->Commit();
  for (const GangPart& part : parts) {
    const NodeFree& left = freeing_->free()[part.share.node];
    free_now_.KeepBack(part.share.node, left, false);
    if (beside_reserved_.has_value()) beside_reserved_->KeepBack(part.share.node, left, false);
    if (future_.has_value()) future_->Take(part.share, true);
  }
  if (future_.has_value()) future_->Commit();
  Begin(job, parts);
  limits_.KeepFor(job);
}

bool Pass::WaitForStopping(const Job& job, const Shape& shape) {
  const auto stopping = [](const RunningJob& running) { return running.stopping; };
  if (!freeing_.has_value() && std::none_of(Running().begin(), Running().end(), stopping)) {
    return false;
  }
  MakeFreeing();
  std::vector<GangPart> parts;
  if (!PlaceGang(shape, *freeing_, parts)) return false;
  KeepForSoon(job, parts);
  if (&job == observed_) {
    Verdict verdict{Verdict::Kind::kStoppingEnd};
    for (int i = 0; i < static_cast<int>(Running().size()); ++i) {
      const RunningJob& running = Running()[i];
      const bool there =
          std::any_of(running.shares.begin(), running.shares.end(), [&](const NodeShare& share) {
            return std::any_of(parts.begin(), parts.end(),
                               [&](const GangPart& part) { return part.share.node == share.node; });
          });
      if (there && (running.stopping || stopped_here_.contains(i))) {
        verdict.waits_for.push_back(running.job->id());
      }
    }
    Say(job, std::move(verdict));
  }
  return true;
}

bool Pass::Preempt(const Job& job, const Shape& shape) {
  if (searches_left_ == 0) return false;
  const auto lower = [&](const RunningJob& running) {
    return running.may_be_stopped && running.job->spec().priority() < job.spec().priority();
  };
  if (std::none_of(Running().begin(), Running().end(), lower)) return false;
  --searches_left_;
  MakeFreeing();
  const std::vector<int> victims = ChooseVictims(Running(), job, shape, stopped_here_, *freeing_);
  if (victims.empty()) return false;
  Verdict verdict{Verdict::Kind::kPreempts};
  for (int victim : victims) {
    stopped_here_.insert(victim);
    const uint64_t id = Running()[victim].job->id();
    plan_.preemptions.push_back({id, job.id()});
    verdict.waits_for.push_back(id);
    for (const NodeShare& share : Running()[victim].shares) freeing_->Give(share);
    if (future_.has_value()) ReleaseInFuture(Running()[victim]);
  }
  std::vector<GangPart> parts;
  if (PlaceGang(shape, *freeing_, parts)) KeepForSoon(job, parts);
  Say(job, std::move(verdict));
  return true;
}

void Pass::ReleaseInFuture(const RunningJob& victim) {
  const auto later =
      std::find_if(releases_.begin() + released_, releases_.end(),
                   [&](const Release& release) { return release.job == victim.job->id(); });
  if (later == releases_.end()) return;  // it had ended by then anyway
  for (const NodeShare& share : victim.shares) future_->Give(share);
  releases_.erase(later);
}

void Pass::PrepareFuture() {
  if (future_.has_value()) return;
  future_ = freeing_.has_value() ? *freeing_ : free_now_;
  for (int i = 0; i < static_cast<int>(Running().size()); ++i) {
    const RunningJob& running = Running()[i];
    if (running.stopping || stopped_here_.contains(i)) continue;
    releases_.push_back({running.end_ms, running.job->id(), running.shares});
  }
  releases_.insert(releases_.end(), begun_.begin(), begun_.end());
  SortReleases(releases_);
}

void Pass::Reserve(const Job& job, const Shape& shape) {
  PrepareFuture();
  std::vector<GangPart> parts;
  const int count = ReleaseUntilPlaced(releases_, released_, shape, *future_, parts);
  if (count < 0) {
    Say(job, {Verdict::Kind::kNoRoom});
    return;
  }
  future_->Commit();
  released_ += count;
  Reservation reservation;
  reservation.job = job.id();
  const int64_t last_end = released_ > 0 ? releases_[released_ - 1].end_ms : now_.wall_ms;
  reservation.start_ms = last_end > 0 ? std::max(last_end, now_.wall_ms) : 0;
  if (!beside_reserved_.has_value()) {
    beside_reserved_ = free_now_;
    failed_beside_ = failed_now_;
    first_reservation_ms_ = reservation.start_ms;
  } else {
    first_reservation_ms_ = std::min(first_reservation_ms_, reservation.start_ms);
  }
  std::vector<int> kept;
  for (const GangPart& part : parts) kept.push_back(part.share.node);
  std::sort(kept.begin(), kept.end());
  kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
  for (int node : kept) {
    const NodeFree& left = future_->free()[node];
    beside_reserved_->KeepBack(node, left, true);
    if (freeing_.has_value()) freeing_->KeepBack(node, left, true);
    reservation.nodes.push_back(nodes_[node].node->name());
  }
  limits_.KeepFor(job);
  if (&job == observed_) {
    Verdict verdict{Verdict::Kind::kReserved};
    verdict.start_ms = reservation.start_ms;
    for (int i = 0; i < released_; ++i) {
      const auto& shares = releases_[i].shares;
      if (std::any_of(shares.begin(), shares.end(), [&](const NodeShare& share) {
            return std::binary_search(kept.begin(), kept.end(), share.node);
          })) {
        verdict.waits_for.push_back(releases_[i].job);
      }
    }
    Say(job, std::move(verdict));
  }
  plan_.reservations.push_back(std::move(reservation));
}

}  // namespace tanren::coordinator
