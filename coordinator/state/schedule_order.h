// In which order waiting jobs are looked at: their priority, how long they wait, and how much their
// user and project had of the cluster lately.
#ifndef TANREN_COORDINATOR_STATE_SCHEDULE_ORDER_H_
#define TANREN_COORDINATOR_STATE_SCHEDULE_ORDER_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/state/cluster.h"
#include "coordinator/state/schedule.h"

namespace tanren::coordinator {

// What the attempts that hold nodes now have, by who has it.
struct UseNow {
  struct Of {
    double gpu_seconds = 0;
    int64_t gpus = 0;
    int64_t cpu_millis = 0;
    int64_t jobs = 0;
  };
  using By = absl::flat_hash_map<std::string, Of>;

  void Add(const Job& job, Now now);

  By users;
  By projects;
};

// What over-use costs in priority: nothing for one who had nothing, half the weight for one who had
// exactly the share that is theirs among those who want something now, nearly all of it beyond:
// weight * (1 - 2^(-use / share)). User and project count half each; a job without a project counts
// by its user alone.
class FairShare {
 public:
  // `arriving`: a job that isn't in the cluster yet, or null.
  FairShare(const Cluster& cluster, const UseNow& use, const ScheduleOptions& options, Now now,
            const Job* arriving);

  double Penalty(const std::string& user, const std::string& project) const;

 private:
  struct Subject {
    double gpu_seconds = 0;
    double share = 1;
    double penalty = 0;
  };
  using Subjects = absl::flat_hash_map<std::string, Subject>;

  void Want(std::string_view subject);
  static void Weigh(const Cluster& cluster, const ScheduleOptions& options, Now now,
                    std::string_view prefix, Subjects& subjects);

  Subjects users_;
  Subjects projects_;
};

struct QueuedJob {
  const Job* job = nullptr;
  double priority = 0;  // with ageing and fair share
  int64_t submitted_ms = 0;
  uint64_t id = 0;
};

// Whether the job may be looked at at all; its dependencies and back-off are others' questions.
bool IsQueued(const Job& job);
// Whether what it depends on has come about.
bool DependenciesMet(const Cluster& cluster, const Job& job);

// Those that may start now if there is room: the first is the first to be served. `arriving` as
// above; `always`, if not 0, is in it in spite of its back-off.
std::vector<QueuedJob> Queue(const Cluster& cluster, const UseNow& use,
                             const ScheduleOptions& options, Now now, const Job* arriving,
                             uint64_t always);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_SCHEDULE_ORDER_H_
