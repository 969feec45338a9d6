// What runs now: when it is thought to end, and what would be lost if it ended at once.
#ifndef TANREN_COORDINATOR_STATE_SCHEDULE_RUNNING_H_
#define TANREN_COORDINATOR_STATE_SCHEDULE_RUNNING_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "coordinator/state/cluster.h"
#include "coordinator/state/placement.h"
#include "coordinator/state/placement_board.h"
#include "coordinator/state/schedule_order.h"
#include "coordinator/state/schedule_walk.h"

namespace tanren::coordinator {

// Not thread-safe, not even what is const: few are looked at closely, and what those hold is found
// out when it is first asked.
class RunningJob {
 public:
  // Keeps pointers to both.
  RunningJob(const Job& job, const NodeTable& nodes, Now now);

  const Job* job = nullptr;
  int64_t end_ms = 0;     // wall, never in the past; 0: not known
  bool stopping = false;  // what it holds is about to be free
  bool may_be_stopped = false;

  std::span<const NodeShare> shares() const { return held().shares; }
  // GPU milliseconds since its last checkpoint, or since it runs.
  int64_t unsaved_gpu_ms() const { return held().unsaved_gpu_ms; }

 private:
  struct Held {
    absl::InlinedVector<NodeShare, 1> shares;
    int64_t unsaved_gpu_ms = 0;
  };
  const Held& held() const;

  const NodeTable* nodes_;
  int64_t now_ms_;  // wall
  mutable std::unique_ptr<Held> held_;
};

// What the jobs that hold nodes are about, all read in one go.
struct Holders {
  Holders(const JobList& holding, const NodeTable& nodes, Now now);

  // In their order. Those of Slurm, whose nodes stand for whole clusters, are left out.
  std::vector<RunningJob> running;
  UseNow use;
};

// Something that gives back what it holds.
struct Release {
  int64_t end_ms = 0;  // 0: not known
  uint64_t job = 0;
  const RunningJob* running = nullptr;      // or, if null, what it holds:
  std::span<const NodeShare> begun_shares;  // someone else's

  std::span<const NodeShare> shares() const {
    return running == nullptr ? begun_shares : running->shares();
  }
};

// In the order in which they are thought to happen: those of unknown time last, the oldest first.
void SortReleases(std::vector<Release>& releases);

// Gives back as few of `releases`, in order and from number `from` on, as let the gang be placed,
// and places it. Returns how many; -1: not even all of them do, and the board is as it was.
int ReleaseUntilPlaced(const std::vector<Release>& releases, int from, const Shape& shape,
                       Board& board, std::vector<GangPart>& parts);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_SCHEDULE_RUNNING_H_
