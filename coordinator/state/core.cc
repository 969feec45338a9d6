#include "coordinator/state/core.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

// So late a step says that this process stood still, not that agents did.
constexpr int64_t kLateMs = 1'000;

const AttemptToken* TokenOf(const HistoryEvent& event) {
  switch (event.kind_case()) {
    case HistoryEvent::kAttemptPlaced:
      return &event.attempt_placed().attempt().token();
    case HistoryEvent::kAttemptStarting:
      return &event.attempt_starting().token();
    case HistoryEvent::kAttemptRunning:
      return &event.attempt_running().token();
    case HistoryEvent::kAttemptStopping:
      return &event.attempt_stopping().token();
    case HistoryEvent::kPartEnded:
      return &event.part_ended().token();
    case HistoryEvent::kAttemptEnded:
      return &event.attempt_ended().token();
    default:
      return nullptr;
  }
}

}  // namespace

HistoryEvent EpochEvent(const Cluster& cluster, uint64_t epoch, uint64_t next_job, Now now) {
  HistoryEvent event;
  event.set_sequence(cluster.last_sequence + 1);
  event.set_time_ms(now.wall_ms);
  event.set_steady_ms(now.steady_ms);
  event.mutable_epoch_began()->set_epoch(std::max(epoch, cluster.epoch + 1));
  event.mutable_epoch_began()->set_next_job(std::max(next_job, cluster.next_job));
  return event;
}

Core::Core(CoreOptions options, Cluster cluster, Now now)
    : options_(std::move(options)),
      cluster_(std::move(cluster)),
      next_pass_ms_(now.steady_ms),
      wall_offset_ms_(now.wall_ms - now.steady_ms),
      first_free_job_(cluster_.next_job),
      now_(now) {
  // What an older epoch placed ends by itself or is heard of before its lease has passed.
  place_from_ms_ = now.steady_ms;
  if (cluster_.unsettled) place_from_ms_ += options_.lease_ms + options_.grace_ms;
  for (const auto& [name, node] : cluster_.nodes) SessionOf(name);
  for (const uint64_t id : cluster_.holding) {
    const Job& job = cluster_.jobs.at(id);
    WatchLimit(job);
    // Whether an agent that doesn't list it is the one that began it isn't known any more.
    for (const std::string& node : NodesOf(job.attempt())) {
      SessionOf(node).parts[id].unlisted_until_ms =
          now.steady_ms + options_.lease_ms + options_.grace_ms;
    }
  }
  for (const uint64_t id : cluster_.pending) {
    const Job& job = cluster_.jobs.at(id);
    if (job.not_before_ms() != 0) back_offs_.insert({job.not_before_ms(), id});
  }
}

Outcome Core::Step(const Input& input, Now now) {
  const bool late = started_ && now.steady_ms - NextTick() > kLateMs;
  const int64_t before_ms = now_.steady_ms;
  now_.steady_ms = std::max(now.steady_ms, now_.steady_ms);
  now_.wall_ms = now_.steady_ms + wall_offset_ms_;
  if (late) Forgive(now_.steady_ms - before_ms);
  outcome_ = Outcome();
  names_.clear();
  touched_.clear();
  std::visit([this](const auto& kind) { Handle(kind); }, input);
  for (const std::string& name : touched_) {
    const auto found = sessions_.find(name);
    if (found == sessions_.end() || !found->second.connected) continue;
    outcome_.orders[name] = MakeOrders(name, found->second);
  }
  for (const RecordName& name : names_) {
    outcome_.commit.records.push_back(MakeRecord(name, cluster_));
  }
  return std::move(outcome_);
}

int64_t Core::NextTick() const {
  int64_t next = std::numeric_limits<int64_t>::max();
  if (!started_) return now_.steady_ms;
  if (!node_deadlines_.empty()) next = std::min(next, node_deadlines_.begin()->first);
  if (!limits_.empty()) next = std::min(next, limits_.begin()->first);
  if (!back_offs_.empty()) next = std::min(next, back_offs_.begin()->first - wall_offset_ms_);
  if (!cluster_.pending.empty()) next = std::min(next, next_pass_ms_);
  next = std::min(next, next_forget_ms_);
  return next;
}

bool Core::MayAct(const AttemptToken& token, const std::string& node) const {
  const Job* job = cluster_.FindJob(token.job());
  if (job == nullptr || !HoldsNodes(job->state())) return false;
  const Attempt& attempt = job->attempt();
  if (!(attempt.token() == token) || token.epoch() != cluster_.epoch) return false;
  if (attempt.stop_reason() != STOP_REASON_UNSPECIFIED || PartHasEnded(attempt, node)) return false;
  return std::any_of(attempt.placements().begin(), attempt.placements().end(),
                     [&](const Placement& placement) { return placement.node() == node; });
}

int64_t Core::HeardMs(const std::string& node) const {
  const auto found = sessions_.find(node);
  return found == sessions_.end() ? 0 : found->second.heard_wall_ms;
}

HistoryEvent Core::NewEvent() const {
  HistoryEvent event;
  event.set_time_ms(now_.wall_ms);
  event.set_steady_ms(now_.steady_ms);
  return event;
}

bool Core::Emit(HistoryEvent event) {
  event.set_sequence(cluster_.last_sequence + 1);
  const absl::Status status = ApplyAndName(event, cluster_, names_);
  if (!status.ok()) {
    if (outcome_.status.ok()) outcome_.status = status;
    return false;
  }
  Follow(event);
  outcome_.commit.events.push_back(std::move(event));
  return true;
}

void Core::Follow(const HistoryEvent& event) {
  switch (event.kind_case()) {
    case HistoryEvent::kJobSubmitted:
      // One that is held changes no plan before it is released.
      if (!event.job_submitted().job().held()) AskForPass(now_.steady_ms);
      break;
    case HistoryEvent::kJobReleased:
    case HistoryEvent::kJobRequeued:
    case HistoryEvent::kJobEnded:
    case HistoryEvent::kNodeStateChanged:
    case HistoryEvent::kNodeJoined:
    case HistoryEvent::kNodeResumed:
    case HistoryEvent::kQuotaSet:
    case HistoryEvent::kPartEnded:
    case HistoryEvent::kAttemptEnded:
      AskForPass(now_.steady_ms);
      break;
    default:
      break;
  }
  const AttemptToken* token = TokenOf(event);
  if (token == nullptr) return;
  const Job& job = cluster_.jobs.at(token->job());
  WatchLimit(job);
  const bool placed = event.kind_case() == HistoryEvent::kAttemptPlaced;
  const bool ended = event.kind_case() == HistoryEvent::kAttemptEnded;
  if (placed || ended) {
    progress_.erase(job.id());
    for (const std::string& node : NodesOf(job.attempt())) SessionOf(node).parts.erase(job.id());
  }
  if (ended && job.not_before_ms() != 0) back_offs_.insert({job.not_before_ms(), job.id()});
  if (placed || ended || event.kind_case() == HistoryEvent::kAttemptStopping ||
      event.kind_case() == HistoryEvent::kPartEnded) {
    Touch(job.attempt());
  }
}

void Core::Touch(const Attempt& attempt) {
  for (const Placement& placement : attempt.placements()) touched_.insert(placement.node());
}

void Core::AskForPass(int64_t at_ms) {
  if (passed_) at_ms = std::max(at_ms, last_pass_ms_ + options_.schedule_every_ms);
  next_pass_ms_ = std::min(next_pass_ms_, at_ms);
}

int64_t Core::ElapsedMs(int64_t since_steady_ms, int64_t since_wall_ms) const {
  // A machine that was started again counts from 0: then at least so much has passed. The wall
  // clock bounds what a coordinator on another machine makes of it.
  const int64_t steady =
      now_.steady_ms >= since_steady_ms ? now_.steady_ms - since_steady_ms : now_.steady_ms;
  return std::clamp<int64_t>(now_.wall_ms - since_wall_ms, 0, steady);
}

}  // namespace tanren::coordinator
