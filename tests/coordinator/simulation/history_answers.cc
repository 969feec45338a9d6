// What users were told, and what the whole of a history must still hold.
#include <algorithm>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "tests/coordinator/simulation/history_checker.h"

namespace tanren::coordinator::simulation {

void HistoryChecker::Acknowledged(const std::string& request, const std::vector<uint64_t>& jobs) {
  const auto [known, is_new] = answers_.emplace(request, jobs);
  if (!is_new && known->second != jobs) {
    world_.Violate("the same request id gives the same job",
                   fmt::format("{}: first {}, then {}", request, fmt::join(known->second, " "),
                               fmt::join(jobs, " ")),
                   jobs.empty() ? 0 : jobs[0]);
  }
  for (const uint64_t job : jobs) {
    const auto [owner, is_free] = owner_.emplace(job, request);
    if (!is_free && owner->second != request) {
      world_.Violate("no id is reused",
                     fmt::format("job {} answers {} and {}", job, owner->second, request), job);
    }
    if (!jobs_.contains(job) && !forgotten_.contains(job)) {
      world_.Violate("no acknowledged job is lost",
                     fmt::format("job {} is acknowledged and not durable", job), job);
    }
  }
}

void HistoryChecker::RolledBack(const Cluster& cluster) {
  sequence_ = cluster.last_sequence;
  epoch_ = cluster.epoch;
  jobs_.clear();
  gpus_.clear();
  nodes_down_.clear();
  for (const auto& [id, job] : cluster.jobs) forgotten_.erase(id);
  for (const auto& [name, node] : cluster.nodes) {
    if (node.state() != Node::UP) nodes_down_.insert(name);
  }
  for (const auto& [id, job] : cluster.jobs) {
    Known& known = jobs_[id];
    known.state = job.state();
    known.spec = job.spec();
    known.token = job.attempt().token();
    known.attempts = job.attempts();
    known.held = job.held();
    known.ended_for_good = IsTerminal(job.state());
    known.published_step = job.checkpoint().step();
    if (!Active(job.state())) continue;
    known.head = job.attempt().placements(0).node();
    known.finished = job.attempt().end().kind() == AttemptEnd::FINISHED;
    for (const Placement& placement : job.attempt().placements()) {
      known.ended[placement.node()] = PartHasEnded(job.attempt(), placement.node());
      if (known.ended[placement.node()]) continue;
      for (const int gpu : placement.gpus()) {
        known.gpus.emplace(placement.node(), gpu);
        gpus_[{placement.node(), gpu}] = id;
      }
    }
  }
  std::erase_if(answers_, [&](const auto& answer) {
    return std::any_of(answer.second.begin(), answer.second.end(), [&](uint64_t job) {
      const bool was_given_since = job >= cluster.next_job;
      return was_given_since || (!jobs_.contains(job) && !forgotten_.contains(job));
    });
  });
}

void HistoryChecker::CheckJob(const Cluster& cluster, uint64_t id) {
  const Job* job = cluster.FindJob(id);
  const auto known = jobs_.find(id);
  if (known == jobs_.end()) return;
  if (job == nullptr) {
    world_.Violate("no acknowledged job is lost", fmt::format("job {} is gone", id), id);
  } else if (job->state() != known->second.state) {
    world_.Violate(kLegalTransitions,
                   fmt::format("job {} is {}, its events say {}", id, JobState_Name(job->state()),
                               JobState_Name(known->second.state)),
                   id);
  }
}

void HistoryChecker::CheckAll(const Cluster& cluster) {
  for (const auto& [id, known] : jobs_) CheckJob(cluster, id);
  for (const auto& [request, jobs] : answers_) {
    for (const uint64_t job : jobs) {
      if (forgotten_.contains(job)) continue;
      if (!jobs_.contains(job) || cluster.FindJob(job) == nullptr) {
        world_.Violate("no acknowledged job is lost",
                       fmt::format("job {} of {} is gone", job, request), job);
      }
    }
  }
}

void HistoryChecker::CheckMayBegin(const AttemptToken& token) {
  const auto known = jobs_.find(token.job());
  const bool forgotten = forgotten_.contains(token.job());
  if (known == jobs_.end() && !forgotten) return;
  if (!forgotten && !known->second.finished && !known->second.ended_for_good) return;
  world_.Violate("no job runs again once it has finished or ended",
                 fmt::format("attempt {} begins, and its job has {}", TokenText(token),
                             !forgotten && known->second.finished ? "finished" : "ended"),
                 token.job());
}

void HistoryChecker::SavedBy(const AttemptToken& token, int64_t step) {
  saved_[KeyOf(token)] = step;
}

void HistoryChecker::CheckResume(const PartSpec& part) {
  const auto at = resumes_at_.find(KeyOf(part.token()));
  if (at == resumes_at_.end() || part.resume().step() >= at->second) return;
  world_.Violate("an attempt resumes from the last published checkpoint",
                 fmt::format("attempt {} begins at step {}, published was {}",
                             TokenText(part.token()), part.resume().step(), at->second),
                 part.token().job());
}

}  // namespace tanren::coordinator::simulation
