#include "coordinator/state/schedule_running.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace tanren::coordinator {

RunningJob::RunningJob(const Job& the_job, const NodeTable& nodes, Now now)
    : job(&the_job), nodes_(&nodes), now_ms_(now.wall_ms) {
  stopping = job->state() == STOPPING;
  const bool known = job->state() != UNKNOWN;
  if (known && job->spec().time_limit_ms() > 0) {
    const int64_t running_ms = job->attempt().running_ms();
    const int64_t begin = running_ms > 0 ? running_ms : now_ms_;
    end_ms = std::max(begin + job->spec().time_limit_ms(), now_ms_);
  }
  may_be_stopped = known && !stopping && job->spec().preemptible();
}

const RunningJob::Held& RunningJob::held() const {
  if (held_ != nullptr) return *held_;
  held_ = std::make_unique<Held>();
  const Attempt& attempt = job->attempt();
  int64_t gpus = 0;
  for (const Placement& placement : attempt.placements()) {
    gpus += placement.gpus_size();
    // A part that has ended gave back what it had.
    const bool ended = std::find(attempt.ended_nodes().begin(), attempt.ended_nodes().end(),
                                 placement.node()) != attempt.ended_nodes().end();
    const int node = ended ? -1 : nodes_->Find(placement.node());
    if (node < 0) continue;
    NodeShare& share = held_->shares.emplace_back();
    share.node = node;
    share.gpus =
        nodes_->Bits(node, {placement.gpus().data(), static_cast<size_t>(placement.gpus_size())});
    share.amount = AmountOf(placement.total());
    share.amount.gpus = placement.gpus_size();
  }
  if (attempt.running_ms() > 0) {
    int64_t saved = attempt.running_ms();
    if (job->checkpoint().attempt() == attempt.token().attempt()) {
      saved = std::max(saved, job->checkpoint().published_ms());
    }
    held_->unsaved_gpu_ms = gpus * std::max<int64_t>(0, now_ms_ - saved);
  }
  return *held_;
}

Holders::Holders(const JobList& holding, const NodeTable& nodes, Now now) {
  running.reserve(holding.size());
  ForEachJob<JobPart::kRoles>(holding, [&](const Job& job) {
    use.Add(job, now);
    if (job.spec().launcher() != "slurm") running.emplace_back(job, nodes, now);
  });
}

void SortReleases(std::vector<Release>& releases) {
  const auto order = [](const Release& release) {
    return std::tuple(release.end_ms > 0 ? release.end_ms : std::numeric_limits<int64_t>::max(),
                      release.job);
  };
  std::sort(releases.begin(), releases.end(),
            [&](const Release& a, const Release& b) { return order(a) < order(b); });
}

int ReleaseUntilPlaced(const std::vector<Release>& releases, int from, const Shape& shape,
                       Board& board, std::vector<GangPart>& parts) {
  const int count = static_cast<int>(releases.size()) - from;
  std::vector<size_t> marks = {board.Mark()};  // marks[n]: n of them are given back
  const auto release_to = [&](int wanted) {
    if (wanted < static_cast<int>(marks.size()) - 1) {
      board.UndoTo(marks[wanted]);
      marks.resize(wanted + 1);
    }
    while (static_cast<int>(marks.size()) - 1 < wanted) {
      for (const NodeShare& share : releases[from + marks.size() - 1].shares()) board.Give(share);
      marks.push_back(board.Mark());
    }
  };
  const auto fits = [&](int released) {
    release_to(released);
    const bool placed = PlaceGang(shape, board, parts);
    board.UndoTo(marks.back());
    return placed;
  };
  // More room never hurts, so the first number that is enough is found by halving.
  int too_few = -1, enough = 0;
  while (!fits(enough)) {
    too_few = enough;
    if (enough == count) {
      board.UndoTo(marks[0]);
      return -1;
    }
    enough = std::min(count, enough * 2 + 1);
  }
  while (enough - too_few > 1) {
    const int middle = too_few + (enough - too_few) / 2;
    (fits(middle) ? enough : too_few) = middle;
  }
  release_to(enough);
  if (!PlaceGang(shape, board, parts)) {
    board.UndoTo(marks[0]);
    return -1;
  }
  return enough;
}

}  // namespace tanren::coordinator
