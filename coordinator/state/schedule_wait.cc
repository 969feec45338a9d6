// What a pass does for those that find no room: by what is being stopped, by stopping others, or by
// a reservation.
#include <algorithm>
#include <utility>
#include <vector>

#include "coordinator/state/schedule_pass.h"
#include "coordinator/state/schedule_preemption.h"

namespace tanren::coordinator {

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

void Pass::MakeFreeing() {
  if (freeing_.has_value()) return;
  freeing_ = beside_reserved_.has_value() ? *beside_reserved_ : free_now_;
  for (const RunningJob& running : Running()) {
    if (!running.stopping) continue;
    for (const NodeShare& share : running.shares()) freeing_->Give(share);
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
      const bool there = std::any_of(
          running.shares().begin(), running.shares().end(), [&](const NodeShare& share) {
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
  if (!by_loss_.has_value()) by_loss_ = ByLoss(Running());
  const std::vector<int> victims =
      ChooseVictims(Running(), *by_loss_, job, shape, stopped_here_, *freeing_);
  if (victims.empty()) return false;
  Verdict verdict{Verdict::Kind::kPreempts};
  for (int victim : victims) {
    stopped_here_.insert(victim);
    const uint64_t id = Running()[victim].job->id();
    plan_.preemptions.push_back({id, job.id()});
    verdict.waits_for.push_back(id);
    for (const NodeShare& share : Running()[victim].shares()) freeing_->Give(share);
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
  for (const NodeShare& share : victim.shares()) future_->Give(share);
  releases_.erase(later);
}

void Pass::PrepareFuture() {
  if (future_.has_value()) return;
  future_ = freeing_.has_value() ? *freeing_ : free_now_;
  releases_.reserve(Running().size() + begun_.size());
  for (int i = 0; i < static_cast<int>(Running().size()); ++i) {
    const RunningJob& running = Running()[i];
    if (running.stopping || stopped_here_.contains(i)) continue;
    releases_.push_back({running.end_ms, running.job->id(), &running, {}});
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
      const auto shares = releases_[i].shares();
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
