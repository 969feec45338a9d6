#include "coordinator/state/explain_estimate.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "coordinator/state/explain_fit.h"
#include "coordinator/state/schedule_limits.h"
#include "coordinator/state/schedule_order.h"
#include "coordinator/state/schedule_running.h"

namespace tanren::coordinator {
namespace {

constexpr int kMostJobsBefore = 1000;

// Whether it holds something of a node that a gang of `shape` may use.
bool Shares(const RunningJob& running, const Shape& shape, const ShapeTable& shapes) {
  const std::vector<int>& allowed = shapes.NodesWith(shape.labels);
  return std::any_of(running.shares().begin(), running.shares().end(), [&](const NodeShare& share) {
    return std::binary_search(allowed.begin(), allowed.end(), share.node) &&
           !std::binary_search(shape.excluded.begin(), shape.excluded.end(), share.node);
  });
}

}  // namespace

StartEstimate EstimateStart(const Cluster& cluster, const ScheduleOptions& options, Now now,
                            const Job& job, bool arriving) {
  const NodeTable nodes(cluster);
  ShapeTable shapes(nodes);
  Board board(nodes, shapes, Board::Fill::kFreeNow);
  Board emptied(nodes, shapes, Board::Fill::kEmptied);
  const JobList holding = JobsOf(cluster, cluster.holding);

  const Shape& own = shapes.Of(job.spec());
  std::vector<uint64_t> endless;
  using End = std::pair<int64_t, std::vector<NodeShare>>;
  const auto later = [](const End& a, const End& b) { return a.first > b.first; };
  std::priority_queue<End, std::vector<End>, decltype(later)> ends(later);
  const Holders holders(holding, nodes, now);
  const Limits limits(cluster, holding, holders.use);
  for (const RunningJob& running : holders.running) {
    if (running.stopping) {
      ends.emplace(now.wall_ms,
                   std::vector<NodeShare>(running.shares().begin(), running.shares().end()));
    } else if (running.end_ms > 0) {
      ends.emplace(running.end_ms,
                   std::vector<NodeShare>(running.shares().begin(), running.shares().end()));
    } else if (running.job->spec().time_limit_ms() == 0 && Shares(running, own, shapes)) {
      endless.push_back(running.job->id());
    }
  }
  int64_t time = now.wall_ms;
  int before = 0;
  for (const QueuedJob& queued : Queue(cluster, holders.use, options, now,
                                       arriving ? &job : nullptr, arriving ? 0 : job.id())) {
    const bool last = queued.job == &job;
    const JobSpec& spec = queued.job->spec();
    if (!last && (spec.launcher() == "slurm" || limits.Broken(*queued.job, false))) continue;
    const Shape& shape = shapes.Of(spec);
    if (!last && !Fits(shape, emptied)) continue;
    if (++before > kMostJobsBefore) return {};
    std::vector<GangPart> parts;
    while (!PlaceGang(shape, board, parts)) {
      if (ends.empty()) return {0, std::move(endless)};
      time = std::max(time, ends.top().first);
      for (const NodeShare& share : ends.top().second) board.Give(share);
      ends.pop();
    }
    board.Commit();
    if (last) return {time, {}};
    if (spec.time_limit_ms() == 0) {
      endless.push_back(queued.job->id());
      continue;
    }
    std::vector<NodeShare> shares;
    for (const GangPart& part : parts) shares.push_back(part.share);
    ends.emplace(time + spec.time_limit_ms(), std::move(shares));
  }
  return {};
}

}  // namespace tanren::coordinator
