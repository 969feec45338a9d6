#include "coordinator/state/schedule_order.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "coordinator/state/node_load.h"
#include "coordinator/state/placement_shape.h"
#include "coordinator/state/schedule_walk.h"

namespace tanren::coordinator {
namespace {

double ShareOf(const Cluster& cluster, const std::string& subject) {
  auto quota = cluster.quotas.find(subject);
  return quota != cluster.quotas.end() && quota->second.share() > 0 ? quota->second.share() : 1;
}

bool Met(const Cluster& cluster, const Dependency& dependency) {
  const Job* job = cluster.FindJob(dependency.job());
  // Of a job that was forgotten it is known only that it ended.
  if (job == nullptr) return dependency.kind() == Dependency::AFTER_END;
  switch (dependency.kind()) {
    case Dependency::AFTER_SUCCESS:
      return job->state() == SUCCEEDED;
    case Dependency::AFTER_FAILURE:
      return job->state() == FAILED;
    default:
      return IsTerminal(job->state());
  }
}

}  // namespace

void UseNow::Add(const Job& job, Now now) {
  const Amount total = TotalOf(job.spec());
  const double seconds =
      static_cast<double>(std::max<int64_t>(0, now.wall_ms - job.attempt().placed_ms())) / 1000;
  const auto add = [&](Of& use) {
    use.gpu_seconds += static_cast<double>(total.gpus) * seconds;
    use.gpus += total.gpus;
    use.cpu_millis += total.cpu_millis;
    ++use.jobs;
  };
  add(users[job.user()]);
  if (!job.spec().project().empty()) add(projects[job.spec().project()]);
}

FairShare::FairShare(const Cluster& cluster, const UseNow& use, const ScheduleOptions& options,
                     Now now, const Job* arriving) {
  for (const auto& [name, of] : use.users) users_[name].gpu_seconds = of.gpu_seconds;
  for (const auto& [name, of] : use.projects) projects_[name].gpu_seconds = of.gpu_seconds;
  for (const auto& [subject, jobs] : cluster.pending_of) Want(subject);
  if (arriving != nullptr) {
    for (const std::string& subject : SubjectsOf(*arriving)) Want(subject);
  }
  Weigh(cluster, options, now, kUserPrefix, users_);
  Weigh(cluster, options, now, kProjectPrefix, projects_);
}

void FairShare::Want(std::string_view subject) {
  for (const auto& [prefix, subjects] :
       {std::pair(kUserPrefix, &users_), std::pair(kProjectPrefix, &projects_)}) {
    if (subject.starts_with(prefix)) (*subjects)[std::string(subject.substr(prefix.size()))];
  }
}

void FairShare::Weigh(const Cluster& cluster, const ScheduleOptions& options, Now now,
                      std::string_view prefix, Subjects& subjects) {
  double all_use = 0, all_shares = 0;
  for (auto& [name, subject] : subjects) {
    const std::string key = std::string(prefix) + name;
    subject.share = ShareOf(cluster, key);
    if (auto usage = cluster.usage.find(key); usage != cluster.usage.end()) {
      const double age =
          static_cast<double>(std::max<int64_t>(0, now.wall_ms - usage->second.at_ms()));
      const double half_lives = options.usage_half_life_ms > 0
                                    ? age / static_cast<double>(options.usage_half_life_ms)
                                    : 0;
      subject.gpu_seconds += usage->second.gpu_seconds() * std::exp2(-half_lives);
    }
  }
  // Sums must not depend on the order in which a hash table is walked.
  std::vector<std::pair<std::string_view, Subject*>> named;
  for (auto& [name, subject] : subjects) named.emplace_back(name, &subject);
  std::sort(named.begin(), named.end());
  for (auto& [name, subject] : named) {
    all_use += subject->gpu_seconds;
    all_shares += subject->share;
  }
  if (all_use <= 0) return;
  for (auto& [name, subject] : named) {
    const double use = subject->gpu_seconds / all_use;
    const double share = subject->share / all_shares;
    subject->penalty = options.fair_share_weight * (1 - std::exp2(-use / share));
  }
}

double FairShare::Penalty(const std::string& user, const std::string& project) const {
  auto of_user = users_.find(user);
  const double by_user = of_user == users_.end() ? 0 : of_user->second.penalty;
  if (project.empty()) return by_user;
  auto of_project = projects_.find(project);
  return (by_user + (of_project == projects_.end() ? 0 : of_project->second.penalty)) / 2;
}

bool IsQueued(const Job& job) {
  return job.state() == PENDING && !job.held() && !job.cancel_requested();
}

bool DependenciesMet(const Cluster& cluster, const Job& job) {
  return std::all_of(job.spec().dependencies().begin(), job.spec().dependencies().end(),
                     [&](const Dependency& dependency) { return Met(cluster, dependency); });
}

std::vector<QueuedJob> Queue(const Cluster& cluster, const UseNow& use,
                             const ScheduleOptions& options, Now now, const Job* arriving,
                             uint64_t always) {
  std::vector<QueuedJob> queue;
  if (cluster.pending.empty() && arriving == nullptr) return queue;
  const FairShare fair_share(cluster, use, options, now, arriving);
  const auto add = [&](const Job& job) {
    if (!IsQueued(job)) return;
    if (job.not_before_ms() > now.wall_ms && job.id() != always) return;
    if (!DependenciesMet(cluster, job)) return;
    double priority = job.spec().priority() - fair_share.Penalty(job.user(), job.spec().project());
    if (options.ageing_ms > 0) {
      priority += static_cast<double>(now.wall_ms - job.submitted_ms()) /
                  static_cast<double>(options.ageing_ms);
    }
    queue.push_back({&job, priority, job.submitted_ms(), job.id()});
  };
  queue.reserve(cluster.pending.size() + 1);
  ForEachJob<JobPart::kOwn>(JobsOf(cluster, cluster.pending), add);
  if (arriving != nullptr) add(*arriving);
  std::sort(queue.begin(), queue.end(), [](const QueuedJob& a, const QueuedJob& b) {
    if (a.priority != b.priority) return a.priority > b.priority;
    return std::pair(a.submitted_ms, a.id) < std::pair(b.submitted_ms, b.id);
  });
  return queue;
}

}  // namespace tanren::coordinator
