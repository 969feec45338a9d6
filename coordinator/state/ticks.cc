// What time brings: limits, a scheduling pass, and an end to what is remembered.
#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "coordinator/state/core.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

// A pass whose starts had to wait for something that isn't the scheduler's to know is tried again.
constexpr int64_t kRetryPassMs = 250;
// So many ended jobs, and about so many requests, are forgotten in one step at most.
constexpr int kForgottenAtOnce = 256;
// Between two such steps, where nothing else brings a tick.
constexpr int64_t kForgetEveryMs = 1'000;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

}  // namespace

void Core::Handle(const TickInput& /*input*/) {
  if (!started_) {
    started_ = true;
    const std::set<uint64_t> holding = cluster_.holding;
    for (const uint64_t id : holding) Settle(id);
    CutBackOffs();
  }
  WatchNodes();
  EnforceLimits();
  while (!back_offs_.empty() && back_offs_.begin()->first <= now_.wall_ms) {
    back_offs_.erase(back_offs_.begin());
    AskForPass(now_.steady_ms);
  }
  const int64_t forget_at_ms = std::min(ForgetEnded(), ForgetRequests());
  next_forget_ms_ = forget_at_ms == kNever
                        ? kNever
                        : std::max(forget_at_ms - wall_offset_ms_, now_.steady_ms + kForgetEveryMs);
  if (!cluster_.pending.empty() && now_.steady_ms >= next_pass_ms_) Pass();
}

// A wall clock that was set back while no coordinator ran doesn't make anybody wait longer than the
// job's own policy does.
void Core::CutBackOffs() {
  const std::set<uint64_t> pending = cluster_.pending;
  for (const uint64_t id : pending) {
    const Job& job = cluster_.jobs.at(id);
    const int64_t longest =
        std::max(job.spec().restart().longest_delay_ms(), job.spec().restart().first_delay_ms());
    if (job.not_before_ms() <= now_.wall_ms + longest) continue;
    HistoryEvent event = NewEvent();
    event.mutable_job_requeued()->set_job(id);
    event.mutable_job_requeued()->set_by("the coordinator, whose clock was set back");
    Emit(std::move(event));
  }
}

void Core::WatchLimit(const Job& job) {
  const auto old = limit_of_.find(job.id());
  if (old != limit_of_.end()) {
    limits_.erase({old->second, job.id()});
    limit_of_.erase(old);
  }
  const Attempt& attempt = job.attempt();
  if (!HoldsNodes(job.state()) || attempt.stop_reason() != STOP_REASON_UNSPECIFIED) return;
  int64_t left = std::numeric_limits<int64_t>::max();
  if (attempt.running_ms() != 0 && job.spec().time_limit_ms() > 0) {
    left =
        job.spec().time_limit_ms() - ElapsedMs(attempt.running_steady_ms(), attempt.running_ms());
  } else if (attempt.running_ms() == 0 && job.spec().launcher() != "slurm") {
    left = options_.start_limit_ms - ElapsedMs(attempt.placed_steady_ms(), attempt.placed_ms());
  }
  if (left == std::numeric_limits<int64_t>::max()) return;
  limit_of_[job.id()] = now_.steady_ms + left;
  limits_.insert({now_.steady_ms + left, job.id()});
}

void Core::EnforceLimits() {
  while (!limits_.empty() && limits_.begin()->first <= now_.steady_ms) {
    const uint64_t id = limits_.begin()->second;
    limits_.erase(limits_.begin());
    limit_of_.erase(id);
    const Job& job = cluster_.jobs.at(id);
    if (job.attempt().running_ms() != 0) {
      Stop(job, TIME_LIMIT, "");
    } else {
      Stop(job, HANG,
           fmt::format("it did not run {} s after it was placed", options_.start_limit_ms / 1000));
    }
  }
}

void Core::Pass() {
  passed_ = true;
  last_pass_ms_ = now_.steady_ms;
  next_pass_ms_ = now_.steady_ms + options_.schedule_at_least_every_ms;
  if (now_.steady_ms < place_from_ms_) {
    next_pass_ms_ = place_from_ms_;
    return;
  }
  const Plan plan = options_.scheduler(cluster_, options_.schedule, now_);
  for (const PlannedPreemption& preemption : plan.preemptions) {
    const Job* victim = cluster_.FindJob(preemption.victim);
    if (victim == nullptr || !HoldsNodes(victim->state()) ||
        victim->attempt().stop_reason() != STOP_REASON_UNSPECIFIED) {
      continue;
    }
    Stop(*victim, PREEMPTED, fmt::format("job {}", preemption.beneficiary));
  }
  // The same for all starts, and costs a look at every node: asked for when a start needs it.
  std::optional<bool> heard_of_all;
  const auto have_all_been_heard_of = [&] {
    if (!heard_of_all.has_value()) heard_of_all = HaveAllBeenHeardOf();
    return *heard_of_all;
  };
  for (const PlannedStart& start : plan.starts) {
    if (IsOfAnOlderEpoch(start.job) && !have_all_been_heard_of()) {
      AskForPass(now_.steady_ms + kRetryPassMs);
    } else if (MayPlace(start)) {
      Place(start);
    } else {
      AskForPass(now_.steady_ms + kRetryPassMs);
    }
  }
}

// A node takes work once it was heard of since this process began, and while nothing lives there
// that we know nothing of; a job while nothing of it lives anywhere that we were told of.
bool Core::MayPlace(const PlannedStart& start) const {
  if (strange_jobs_.contains(start.job)) return false;
  for (const Placement& placement : start.placements) {
    const auto session = sessions_.find(placement.node());
    if (session == sessions_.end() || !session->second.reported ||
        !session->second.strangers.empty()) {
      return false;
    }
  }
  return true;
}

// Whether an attempt that an older epoch placed, maybe one that this history knows nothing of, is
// the last of the job that there was.
bool Core::IsOfAnOlderEpoch(uint64_t id) const {
  const Job* job = cluster_.FindJob(id);
  return job != nullptr && job->attempts() > 0 && job->attempt().token().epoch() != cluster_.epoch;
}

// What a node listed to an earlier process of this epoch isn't known any more.
bool Core::HaveAllBeenHeardOf() const {
  return std::all_of(cluster_.nodes.begin(), cluster_.nodes.end(), [this](const auto& entry) {
    return entry.second.state() == Node::LOST || HeardMs(entry.first) != 0;
  });
}

void Core::Place(const PlannedStart& start) {
  const Job* job = cluster_.FindJob(start.job);
  HistoryEvent event = NewEvent();
  Attempt& attempt = *event.mutable_attempt_placed()->mutable_attempt();
  attempt.mutable_token()->set_epoch(cluster_.epoch);
  attempt.mutable_token()->set_job(start.job);
  attempt.mutable_token()->set_attempt(job == nullptr ? 1 : job->attempts() + 1);
  attempt.set_placed_ms(now_.wall_ms);
  for (const Placement& placement : start.placements) *attempt.add_placements() = placement;
  Emit(std::move(event));
}

int64_t Core::ForgetEnded() {
  std::vector<uint64_t> forgotten;
  int64_t left = static_cast<int64_t>(cluster_.ended.size());
  int64_t more_at_ms = kNever;
  for (const auto& [ended_ms, id] : cluster_.ended) {
    const int64_t old_at_ms =
        left > options_.keep_ended_jobs ? now_.wall_ms : ended_ms + options_.keep_ended_ms;
    if (old_at_ms > now_.wall_ms || forgotten.size() >= kForgottenAtOnce) {
      more_at_ms = old_at_ms;
      break;
    }
    --left;
    // What a waiting job depends on is remembered as long as it waits.
    if (!cluster_.dependants.contains(id)) forgotten.push_back(id);
  }
  for (const uint64_t id : forgotten) {
    HistoryEvent event = NewEvent();
    event.mutable_job_forgotten()->set_job(id);
    Emit(std::move(event));
  }
  return more_at_ms;
}

// Those of one millisecond go together.
int64_t Core::ForgetRequests() {
  const auto& by_time = cluster_.requests_by_time;
  const int64_t beyond = static_cast<int64_t>(by_time.size()) - options_.keep_requests;
  const int64_t old_ms = now_.wall_ms - options_.keep_requests_ms;
  const int64_t young_ms = now_.wall_ms - options_.keep_requests_at_least_ms;
  int64_t before_ms = 0;
  int64_t more_at_ms = kNever;
  int64_t count = 0;
  for (const auto& [at_ms, key] : by_time) {
    const int64_t old_at_ms =
        at_ms + (count < beyond ? options_.keep_requests_at_least_ms : options_.keep_requests_ms);
    const bool goes = at_ms <= old_ms || (count < beyond && at_ms <= young_ms);
    if (!goes || count++ >= kForgottenAtOnce) {
      more_at_ms = old_at_ms;
      break;
    }
    before_ms = at_ms + 1;
  }
  if (before_ms == 0) return more_at_ms;
  HistoryEvent event = NewEvent();
  event.mutable_requests_forgotten()->set_before_ms(before_ms);
  Emit(std::move(event));
  return more_at_ms;
}

}  // namespace tanren::coordinator
