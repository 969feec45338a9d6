// One pass over the queue, and what became in it of one job that somebody asks about.
#ifndef TANREN_COORDINATOR_STATE_SCHEDULE_PASS_H_
#define TANREN_COORDINATOR_STATE_SCHEDULE_PASS_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "coordinator/state/placement.h"
#include "coordinator/state/schedule.h"
#include "coordinator/state/schedule_limits.h"
#include "coordinator/state/schedule_order.h"
#include "coordinator/state/schedule_running.h"

namespace tanren::coordinator {

struct Verdict {
  enum class Kind {
    kNotReached,  // not in the queue
    kStarts,
    kLimit,        // `limit` is broken
    kNeverFits,    // not even if nothing ran on the nodes that take work
    kNoRoom,       // it comes later than those that nodes are kept for
    kStoppingEnd,  // `waits_for` are being stopped, and then it starts
    kPreempts,     // `waits_for` are to be stopped for it
    kReserved      // nodes are kept for it from `start_ms` on, when `waits_for` have ended
  };
  Kind kind = Kind::kNotReached;
  std::optional<LimitBroken> limit;
  std::vector<uint64_t> waits_for;
  int64_t start_ms = 0;
};

// Room for a job is looked for on what is free now. The first that find none are served before all
// others: by what is being stopped anyway, by stopping others, or by a reservation from the time on
// when enough has ended. Later ones may start only beside what is kept for those.
class Pass {
 public:
  // `observed`: null, or a job of the cluster; or one that isn't in it yet (`arriving`), which then
  // queues as if it were. The pass ends once it has dealt with that job, and ignores its back-off.
  Pass(const Cluster& cluster, const ScheduleOptions& options, Now now, const Job* observed,
       bool arriving);

  const Plan& Run();
  const Plan& plan() const { return plan_; }
  Plan TakePlan() { return std::move(plan_); }
  const Verdict& verdict() const { return verdict_; }
  const NodeTable& nodes() const { return nodes_; }
  ShapeTable& shapes() { return shapes_; }
  // What is free for the observed job at its turn, beside what is kept for those before it; and
  // what would be if it ended before any of that is needed.
  Board& RoomFor(const Job& job);
  Board& RoomForShort() { return free_now_; }
  // The jobs that hold nodes.
  const JobList& holding() const { return holding_; }

 private:
  void Consider(const Job& job);
  void ConsiderWholeCluster(const Job& job);
  bool TryElsewhere(const Job& job, bool lasting);
  bool TryStart(const Job& job, const Shape& shape, bool lasting);
  void Wait(const Job& job, const Shape& shape);
  bool WaitForStopping(const Job& job, const Shape& shape);
  bool Preempt(const Job& job, const Shape& shape);
  void Reserve(const Job& job, const Shape& shape);

  // Whether the job may still run when something is kept back for another.
  bool IsLasting(const Job& job) const;
  bool FitsEmptied(const Shape& shape);
  const std::vector<RunningJob>& Running() const { return holders_.running; }
  void MakeFreeing();
  // Keeps what `parts` took of the freeing board for `job`, from everyone.
  void KeepForSoon(const Job& job, const std::vector<GangPart>& parts);
  void PrepareFuture();
  int64_t EndOf(const Job& job, int64_t start_ms) const;
  // The job holds `parts` from now on.
  void Begin(const Job& job, const std::vector<GangPart>& parts);
  // A victim's share is free at the time of the last reservation too.
  void ReleaseInFuture(const RunningJob& victim);
  void Say(const Job& job, Verdict verdict);

  const Cluster& cluster_;
  const ScheduleOptions& options_;
  const Now now_;
  const Job* const observed_;
  const bool arriving_;

  const JobList holding_;
  NodeTable nodes_;
  ShapeTable shapes_;
  const Holders holders_;
  Limits limits_;
  Plan plan_;
  Verdict verdict_;
  bool observed_done_ = false;

  Board free_now_;
  std::optional<Board> beside_reserved_;  // for work that lasts into a reservation
  std::optional<Board> freeing_;          // free once what is being stopped has ended
  std::optional<Board> future_;           // at the time of the last reservation
  std::optional<Board> emptied_;
  // By number of a shape: it was in vain already.
  std::vector<bool> failed_now_;
  std::vector<bool> failed_beside_;
  std::vector<std::optional<bool>> fits_emptied_;

  std::optional<std::vector<int>> by_loss_;  // positions in Running()
  absl::flat_hash_set<int> stopped_here_;    // positions in Running()
  std::vector<Release> begun_;               // by this pass: how they will end
  std::deque<std::vector<NodeShare>> begun_shares_;
  std::vector<Release> releases_;
  int released_ = 0;
  int waiting_left_ = 0;
  int searches_left_ = 0;
  int64_t first_reservation_ms_ = 0;  // 0: none, or not known when
  std::vector<int> whole_cluster_jobs_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_SCHEDULE_PASS_H_
