// What users, projects and arrays may hold at once.
#ifndef TANREN_COORDINATOR_STATE_SCHEDULE_LIMITS_H_
#define TANREN_COORDINATOR_STATE_SCHEDULE_LIMITS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "coordinator/state/cluster.h"
#include "coordinator/state/schedule_order.h"
#include "coordinator/state/schedule_walk.h"

namespace tanren::coordinator {

// Which limit a job would break.
struct LimitBroken {
  enum class Kind { kGpus, kCpu, kRunningJobs, kArray };
  Kind kind = Kind::kGpus;
  std::string subject;  // "user/alice", "project/vision"; empty for an array
  int64_t limit = 0;
  int64_t held = 0;    // now
  int64_t wanted = 0;  // by the job
};

// Counts what jobs hold, and in the course of a pass what it gives out.
class Limits {
 public:
  // `holding`: the jobs that hold nodes; `use`: what they have. Keeps the first two.
  Limits(const Cluster& cluster, const JobList& holding, const UseNow& use);

  // The first limit that the job would break if it started now; nothing: none. `lasting`: what is
  // kept for jobs that start later counts too.
  std::optional<LimitBroken> Broken(const Job& job, bool lasting) const;
  void Start(const Job& job) { Add(job, &Held::now); }
  void KeepFor(const Job& job) { Add(job, &Held::later); }

 private:
  struct Count {
    int64_t gpus = 0;
    int64_t cpu_millis = 0;
    int64_t jobs = 0;
  };
  struct Held {
    Count now;
    Count later;
  };

  void Add(const Job& job, Count Held::*when);
  void AddToSubjects(const Job& job, Count Held::*when);
  void BeginWith(std::string_view prefix, const UseNow::By& use);
  std::optional<LimitBroken> BrokenQuota(const std::string& subject, const Job& job,
                                         bool lasting) const;

  const Cluster& cluster_;
  const JobList& holding_;
  absl::flat_hash_map<std::string, Held> subjects_;  // those that have a quota
  // Those that are bounded; of what ran before, counted when one is first asked about.
  mutable absl::flat_hash_map<uint64_t, Held> arrays_;
  mutable bool arrays_counted_ = false;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_SCHEDULE_LIMITS_H_
