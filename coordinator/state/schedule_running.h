// What runs now: when it is thought to end, and what would be lost if it ended at once.
#ifndef TANREN_COORDINATOR_STATE_SCHEDULE_RUNNING_H_
#define TANREN_COORDINATOR_STATE_SCHEDULE_RUNNING_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "coordinator/state/cluster.h"
#include "coordinator/state/placement.h"
#include "coordinator/state/placement_board.h"

namespace tanren::coordinator {

struct RunningJob {
  const Job* job = nullptr;
  int64_t end_ms = 0;     // wall, never in the past; 0: not known
  bool stopping = false;  // what it holds is about to be free
  bool may_be_stopped = false;
  // GPU milliseconds since its last checkpoint, or since it runs.
  int64_t unsaved_gpu_ms = 0;
  absl::InlinedVector<NodeShare, 1> shares;
};

// By id. Attempts on nodes that stand for whole clusters are left out.
std::vector<RunningJob> RunningJobs(const Cluster& cluster, const NodeTable& nodes, Now now);

// Something that gives back what it holds.
struct Release {
  int64_t end_ms = 0;  // 0: not known
  uint64_t job = 0;
  std::span<const NodeShare> shares;  // someone else's
};

// In the order in which they are thought to happen: those of unknown time last, the oldest first.
void SortReleases(std::vector<Release>& releases);

// Gives back as few of `releases`, in order and from number `from` on, as let the gang be placed,
// and places it. Returns how many; -1: not even all of them do, and the board is as it was.
int ReleaseUntilPlaced(const std::vector<Release>& releases, int from, const Shape& shape,
                       Board& board, std::vector<GangPart>& parts);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_SCHEDULE_RUNNING_H_
