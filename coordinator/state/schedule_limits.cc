#include "coordinator/state/schedule_limits.h"

#include "coordinator/state/node_load.h"
#include "coordinator/state/placement_shape.h"

namespace tanren::coordinator {
namespace {

uint64_t BoundedArray(const Job& job) { return job.spec().array_running() > 0 ? job.array() : 0; }

}  // namespace

Limits::Limits(const Cluster& cluster, const JobList& holding, const UseNow& use)
    : cluster_(cluster), holding_(holding) {
  for (const auto& [subject, quota] : cluster.quotas) subjects_[subject];
  BeginWith(kUserPrefix, use.users);
  BeginWith(kProjectPrefix, use.projects);
}

void Limits::BeginWith(std::string_view prefix, const UseNow::By& use) {
  for (auto& [subject, held] : subjects_) {
    if (!subject.starts_with(prefix)) continue;
    const auto of = use.find(subject.substr(prefix.size()));
    if (of == use.end()) continue;
    held.now = {of->second.gpus, of->second.cpu_millis, of->second.jobs};
  }
}

void Limits::Add(const Job& job, Count Held::*when) {
  if (const uint64_t array = BoundedArray(job); array != 0) ++(arrays_[array].*when).jobs;
  if (!subjects_.empty()) AddToSubjects(job, when);
}

void Limits::AddToSubjects(const Job& job, Count Held::*when) {
  const Amount total = TotalOf(job.spec());
  const auto count = [&](const std::string& subject) {
    auto found = subjects_.find(subject);
    if (found == subjects_.end()) return;
    Count& held = found->second.*when;
    held.gpus += total.gpus;
    held.cpu_millis += total.cpu_millis;
    ++held.jobs;
  };
  count("user/" + job.user());
  if (!job.spec().project().empty()) count("project/" + job.spec().project());
}

std::optional<LimitBroken> Limits::BrokenQuota(const std::string& subject, const Job& job,
                                               bool lasting) const {
  auto found = subjects_.find(subject);
  if (found == subjects_.end()) return std::nullopt;
  const Quota& quota = cluster_.quotas.at(subject);
  const Held& held = found->second;
  const Amount total = TotalOf(job.spec());
  const auto broken = [&](LimitBroken::Kind kind, int64_t limit, int64_t Count::*what,
                          int64_t wanted) -> std::optional<LimitBroken> {
    const int64_t now = held.now.*what + (lasting ? held.later.*what : 0);
    if (limit <= 0 || wanted <= 0 || now + wanted <= limit) return std::nullopt;
    return LimitBroken{kind, subject, limit, now, wanted};
  };
  if (auto gpus = broken(LimitBroken::Kind::kGpus, quota.gpus(), &Count::gpus, total.gpus)) {
    return gpus;
  }
  if (auto cpu = broken(LimitBroken::Kind::kCpu, quota.cpu_millis(), &Count::cpu_millis,
                        total.cpu_millis)) {
    return cpu;
  }
  return broken(LimitBroken::Kind::kRunningJobs, quota.running_jobs(), &Count::jobs, 1);
}

std::optional<LimitBroken> Limits::Broken(const Job& job, bool lasting) const {
  if (!subjects_.empty()) {
    if (auto broken = BrokenQuota("user/" + job.user(), job, lasting)) return broken;
    if (!job.spec().project().empty()) {
      if (auto broken = BrokenQuota("project/" + job.spec().project(), job, lasting)) {
        return broken;
      }
    }
  }
  const uint64_t array = BoundedArray(job);
  if (array == 0) return std::nullopt;
  if (!arrays_counted_) {
    arrays_counted_ = true;
    ForEachJob<JobPart::kOwn>(holding_, [&](const Job& held) {
      if (const uint64_t other = BoundedArray(held); other != 0) ++arrays_[other].now.jobs;
    });
  }
  auto found = arrays_.find(array);
  const int64_t running = found == arrays_.end()
                              ? 0
                              : found->second.now.jobs + (lasting ? found->second.later.jobs : 0);
  if (running < job.spec().array_running()) return std::nullopt;
  return LimitBroken{LimitBroken::Kind::kArray, "", job.spec().array_running(), running, 1};
}

}  // namespace tanren::coordinator
