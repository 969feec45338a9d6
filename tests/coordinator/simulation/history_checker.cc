#include "tests/coordinator/simulation/history_checker.h"

#include <algorithm>

#include "fmt/format.h"

namespace tanren::coordinator::simulation {

bool HistoryChecker::Active(JobState state) {
  return state == PLACED || state == STARTING || state == RUNNING || state == STOPPING ||
         state == UNKNOWN;
}

bool HistoryChecker::Expect(bool holds, uint64_t job, const std::string& what) {
  if (!holds) world_.Violate(kLegalTransitions, fmt::format("event {}: {}", sequence_, what), job);
  return holds;
}

HistoryChecker::Known* HistoryChecker::Find(uint64_t job, const char* what) {
  const auto it = jobs_.find(job);
  if (!Expect(it != jobs_.end(), job, fmt::format("{}: there is no job {}", what, job))) {
    return nullptr;
  }
  Expect(!it->second.ended_for_good, job, fmt::format("{}: job {} has ended", what, job));
  return &it->second;
}

HistoryChecker::Known* HistoryChecker::FindByToken(const AttemptToken& token, const char* what) {
  Known* job = Find(token.job(), what);
  if (job == nullptr) return nullptr;
  if (!Active(job->state) || KeyOf(token) != KeyOf(job->token)) {
    world_.Violate("a stale token's writes are rejected",
                   fmt::format("{} of {}: the job is {}, its attempt {}", what, TokenText(token),
                               JobState_Name(job->state), TokenText(job->token)),
                   token.job());
    return nullptr;
  }
  return job;
}

void HistoryChecker::Durable(const HistoryEvent& event) {
  ++world_.figures.events;
  Expect(event.sequence() == sequence_ + 1, 0,
         fmt::format("number {} follows {}", event.sequence(), sequence_));
  sequence_ = event.sequence();
  switch (event.kind_case()) {
    case HistoryEvent::kEpochBegan:
      world_.trace.Add(world_.now_us(), "epoch", -1, 0, 0,
                       static_cast<int64_t>(event.epoch_began().epoch()));
      Expect(event.epoch_began().epoch() > highest_epoch_, 0, "an epoch that doesn't rise");
      epoch_ = highest_epoch_ = event.epoch_began().epoch();
      // What ran is being ended from here on.
      for (auto& [id, job] : jobs_) {
        if (Active(job.state) && job.state != UNKNOWN) job.state = STOPPING;
      }
      break;
    case HistoryEvent::kNodeJoined:
    case HistoryEvent::kNodeStateChanged:
    case HistoryEvent::kNodeDrained:
    case HistoryEvent::kNodeResumed:
    case HistoryEvent::kNodeSuspected:
    case HistoryEvent::kNodeRemoved:
      ChangeNode(event);
      break;
    case HistoryEvent::kQuotaSet:
    case HistoryEvent::kRequestsForgotten:
      break;
    case HistoryEvent::kJobSubmitted:
    case HistoryEvent::kJobHeld:
    case HistoryEvent::kJobReleased:
    case HistoryEvent::kCancelRequested:
    case HistoryEvent::kJobEnded:
    case HistoryEvent::kJobForgotten:
    case HistoryEvent::kJobRequeued:
      ChangeJob(event);
      break;
    default:
      ChangeAttempt(event);
  }
}

void HistoryChecker::ChangeNode(const HistoryEvent& event) {
  const auto index = [](const std::string& name) { return World::NodeIndex(name); };
  if (event.has_node_joined()) {
    world_.trace.Add(world_.now_us(), "node joined", index(event.node_joined().node().name()));
    nodes_down_.erase(event.node_joined().node().name());
  } else if (event.has_node_state_changed()) {
    const auto& changed = event.node_state_changed();
    world_.trace.Add(world_.now_us(), "node state", index(changed.node()), 0, 0, changed.state());
    if (changed.state() == Node::LOST) world_.evidence->CheckGivenAway(index(changed.node()), 0);
    if (changed.state() == Node::UP) {
      nodes_down_.erase(changed.node());
    } else {
      nodes_down_.insert(changed.node());
    }
  } else if (event.has_node_drained()) {
    world_.trace.Add(world_.now_us(), "node drained", index(event.node_drained().node()));
  } else if (event.has_node_removed()) {
    // What an epoch of the past left there is being fenced, removed or not.
    world_.evidence->CheckGivenAway(index(event.node_removed().node()), epoch_);
  }
}

void HistoryChecker::ChangeJob(const HistoryEvent& event) {
  if (event.has_job_submitted()) {
    const Job& job = event.job_submitted().job();
    world_.trace.Add(world_.now_us(), "submitted", -1, job.id());
    if (!used_ids_.insert(job.id()).second) {
      world_.Violate("no id is reused", fmt::format("job {} was there before", job.id()), job.id());
    }
    Known known;
    known.spec = job.spec();
    known.held = job.held();
    jobs_[job.id()] = known;
  } else if (event.has_job_held()) {
    world_.trace.Add(world_.now_us(), "held", -1, event.job_held().job());
    if (Known* job = Find(event.job_held().job(), "held")) job->held = true;
  } else if (event.has_job_released()) {
    world_.trace.Add(world_.now_us(), "released", -1, event.job_released().job());
    if (Known* job = Find(event.job_released().job(), "released")) job->held = false;
  } else if (event.has_cancel_requested()) {
    world_.trace.Add(world_.now_us(), "cancel requested", -1, event.cancel_requested().job());
    Find(event.cancel_requested().job(), "cancel");
  } else if (event.has_job_requeued()) {
    Find(event.job_requeued().job(), "requeued");
  } else if (event.has_job_ended()) {
    const auto& ended = event.job_ended();
    world_.trace.Add(world_.now_us(), "ended", -1, ended.job(), 0, ended.state());
    Known* job = Find(ended.job(), "ended");
    if (job == nullptr) return;
    Expect(job->state == PENDING, ended.job(), "it ends while an attempt holds nodes");
    if (world_.evidence->Lives(ended.job(), epoch_)) {
      world_.Violate("terminal is final: nothing of it lives",
                     fmt::format("job {} ends while its processes live", ended.job()), ended.job());
    }
    job->state = ended.state();
    job->ended_for_good = true;
  } else if (event.has_job_forgotten()) {
    const auto it = jobs_.find(event.job_forgotten().job());
    Expect(it != jobs_.end() && it->second.ended_for_good, event.job_forgotten().job(),
           "a job that has not ended is forgotten");
    jobs_.erase(event.job_forgotten().job());
    forgotten_.insert(event.job_forgotten().job());
  }
}

void HistoryChecker::ChangeAttempt(const HistoryEvent& event) {
  const auto trace = [this](const char* what, const AttemptToken& token, int node = -1,
                            int64_t detail = 0) {
    world_.trace.Add(world_.now_us(), what, node, token.job(), token.attempt(), detail);
  };
  if (event.has_attempt_placed()) {
    const Attempt& attempt = event.attempt_placed().attempt();
    trace("placed", attempt.token(), World::NodeIndex(attempt.placements(0).node()),
          attempt.placements_size());
    Placed(attempt);
  } else if (event.has_attempt_starting()) {
    const AttemptToken& token = event.attempt_starting().token();
    trace("starting", token);
    if (Known* job = FindByToken(token, "starting")) {
      Expect(job->state == PLACED || job->state == STARTING, token.job(), "it can't start");
      job->state = STARTING;
    }
  } else if (event.has_attempt_running()) {
    const AttemptToken& token = event.attempt_running().token();
    trace("running", token);
    if (Known* job = FindByToken(token, "running")) {
      Expect(job->state == PLACED || job->state == STARTING, token.job(), "it can't run");
      job->state = RUNNING;
    }
  } else if (event.has_attempt_stopping()) {
    const AttemptToken& token = event.attempt_stopping().token();
    trace("stopping", token, -1, event.attempt_stopping().reason());
    Known* job = FindByToken(token, "stopping");
    if (job != nullptr && job->state != UNKNOWN) job->state = STOPPING;
  } else if (event.has_attempt_unknown()) {
    const auto& unknown = event.attempt_unknown();
    trace("unknown", unknown.token(), World::NodeIndex(unknown.node()));
    if (Known* job = FindByToken(unknown.token(), "unknown")) job->state = UNKNOWN;
  } else if (event.has_attempt_found_again()) {
    const auto& found = event.attempt_found_again();
    trace("found again", found.token(), -1, found.state());
    if (Known* job = FindByToken(found.token(), "found again")) {
      Expect(job->state == UNKNOWN && Active(found.state()), found.token().job(),
             "it was not unknown");
      job->state = found.state();
    }
  } else if (event.has_part_ended()) {
    const auto& part = event.part_ended();
    trace("part ended", part.token(), World::NodeIndex(part.node()), part.end().kind());
    world_.evidence->CheckPartEnded(World::NodeIndex(part.node()), part.token());
    Known* job = FindByToken(part.token(), "part ended");
    if (job == nullptr) return;
    const auto node = job->ended.find(part.node());
    if (!Expect(node != job->ended.end() && !node->second, part.token().job(),
                "a part ends that isn't there")) {
      return;
    }
    node->second = true;
    if (part.node() == job->head && part.end().kind() == AttemptEnd::FINISHED) {
      job->finished = true;
    }
    GiveBack(*job, part.node());
    const auto saved = saved_.find(KeyOf(part.token()));
    // What an epoch of the past saves is not taken.
    if (part.end().kind() == AttemptEnd::SAVED && part.token().epoch() == epoch_ &&
        saved != saved_.end() && job->published_step < saved->second) {
      world_.Violate("what was saved is published",
                     fmt::format("attempt {} saved step {} and ended; published is {}",
                                 TokenText(part.token()), saved->second, job->published_step),
                     part.token().job());
    }
  } else if (event.has_attempt_ended()) {
    const auto& ended = event.attempt_ended();
    trace("attempt ended", ended.token(), -1, ended.end().kind());
    Known* job = FindByToken(ended.token(), "attempt ended");
    if (job == nullptr) return;
    for (const auto& [node, is_over] : job->ended) {
      Expect(is_over, ended.token().job(), "its part on " + node + " may live");
    }
    job->state = PENDING;
  } else if (event.has_checkpoint_published()) {
    const auto& published = event.checkpoint_published();
    trace("published", published.token(), -1, published.checkpoint().step());
    Known* job = FindByToken(published.token(), "a checkpoint");
    if (job == nullptr) return;
    const std::string within =
        fmt::format("/job-{}/attempt-{}/", published.token().job(), published.token().attempt());
    if (published.token().epoch() != epoch_ ||
        published.checkpoint().folder().find(within) == std::string::npos) {
      world_.Violate("a stale token's writes are rejected",
                     fmt::format("{} publishes {}", TokenText(published.token()),
                                 published.checkpoint().folder()),
                     published.token().job());
    }
    Expect(published.checkpoint().step() >= job->published_step, published.token().job(),
           "a checkpoint before one that was published");
    job->published_step = published.checkpoint().step();
  }
}

void HistoryChecker::Placed(const Attempt& attempt) {
  const AttemptToken& token = attempt.token();
  Known* job = Find(token.job(), "placed");
  if (job == nullptr) return;
  Expect(job->state == PENDING && !job->held, token.job(), "it is not waiting");
  Expect(token.epoch() == epoch_ && token.attempt() > job->attempts, token.job(),
         fmt::format("token {} after attempt {}", TokenText(token), job->attempts));
  job->state = PLACED;
  job->token = token;
  job->attempts = token.attempt();
  job->ended.clear();
  job->head = attempt.placements(0).node();
  Expect(!job->finished, token.job(), "its program has finished");
  resumes_at_[KeyOf(token)] = job->published_step;
  for (const Placement& placement : attempt.placements()) {
    job->ended[placement.node()] = false;
    Expect(!nodes_down_.contains(placement.node()), token.job(), placement.node() + " isn't up");
    for (const int gpu : placement.gpus()) {
      const auto [taken, is_free] = gpus_.emplace(std::pair(placement.node(), gpu), token.job());
      if (!is_free) {
        world_.Violate("at most one lease of a GPU",
                       fmt::format("GPU {} of {} is given to job {} while job {} has it", gpu,
                                   placement.node(), token.job(), taken->second),
                       token.job());
      }
      job->gpus.emplace(placement.node(), gpu);
    }
  }
  CheckGangIsWhole(*job, attempt);
}

void HistoryChecker::CheckGangIsWhole(const Known& job, const Attempt& attempt) {
  for (const Role& role : job.spec.roles()) {
    int ranks = 0;
    for (const Placement& placement : attempt.placements()) {
      if (placement.role() != role.name()) continue;
      if (placement.first_rank() != ranks ||
          placement.gpus_size() != placement.ranks() * role.per_rank().gpus()) {
        world_.Violate("gangs are whole", "ranks or GPUs of a placement don't add up",
                       attempt.token().job());
      }
      ranks += placement.ranks();
    }
    if (ranks != role.ranks()) {
      world_.Violate(
          "gangs are whole",
          fmt::format("{} of {} ranks of {} are placed", ranks, role.ranks(), role.name()),
          attempt.token().job());
    }
  }
}

void HistoryChecker::GiveBack(Known& job, const std::string& node) {
  for (auto it = job.gpus.begin(); it != job.gpus.end();) {
    if (it->first != node) {
      ++it;
      continue;
    }
    gpus_.erase(*it);
    it = job.gpus.erase(it);
  }
}

}  // namespace tanren::coordinator::simulation
