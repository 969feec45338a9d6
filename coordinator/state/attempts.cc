// How attempts are stopped and end.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/state/attempt_end.h"
#include "coordinator/state/core.h"
#include "coordinator/state/usage.h"
#include "runtime/base/utf8.h"

namespace tanren::coordinator {
namespace {

// What an agent says, cut to what a record may hold; of a log the end counts.
void Clip(AttemptEnd& end) {
  end.set_message(ValidUtf8(end.message(), kLongestEndMessage));
  std::string& tail = *end.mutable_log_tail();
  if (tail.size() > kLongestLogTail) tail.erase(0, tail.size() - kLongestLogTail);
}

}  // namespace

void Core::Stop(const Job& job, StopReason reason, const std::string& by) {
  HistoryEvent event = NewEvent();
  *event.mutable_attempt_stopping()->mutable_token() = job.attempt().token();
  event.mutable_attempt_stopping()->set_reason(reason);
  event.mutable_attempt_stopping()->set_by(by);
  Emit(std::move(event));
}

void Core::EndPart(const Job& job, const std::string& node, AttemptEnd end) {
  if (end.kind() == AttemptEnd::KIND_UNSPECIFIED) end.set_kind(AttemptEnd::INFRASTRUCTURE);
  // An agent speaks for its own machine; Slurm's for those that Slurm placed the job on.
  const Node* known = cluster_.FindNode(node);
  const bool is_slurm = known != nullptr && known->launcher() == "slurm";
  if (end.node().empty() || !is_slurm) end.set_node(node);
  const std::vector<std::string> gang = NodesOf(job.attempt());
  if (end.unreached_node() == node ||
      std::count(gang.begin(), gang.end(), end.unreached_node()) == 0) {
    end.clear_unreached_node();
  }
  Clip(end);
  HistoryEvent event = NewEvent();
  *event.mutable_part_ended()->mutable_token() = job.attempt().token();
  event.mutable_part_ended()->set_node(node);
  *event.mutable_part_ended()->mutable_end() = std::move(end);
  Emit(std::move(event));
}

// What follows once parts have ended: a broken gang is stopped, and an attempt of which nothing
// lives is over.
void Core::Settle(uint64_t id) {
  const Job& job = cluster_.jobs.at(id);
  if (!HoldsNodes(job.state())) return;
  const Attempt& attempt = job.attempt();
  bool lives = false;
  bool lost = false;
  for (const std::string& name : NodesOf(attempt)) {
    const Node* node = cluster_.FindNode(name);
    if (!PartHasEnded(attempt, name)) lives = true;
    if (node == nullptr || node->state() == Node::LOST) lost = true;
  }
  if (!lives) return EndAttempt(job);
  if (attempt.has_end() && BreaksTheGang(attempt.end().kind()) &&
      attempt.stop_reason() == STOP_REASON_UNSPECIFIED) {
    Stop(job, lost ? NODE_LOST : PART_FAILED, attempt.end().node());
  }
  BecomeKnown(job);
}

void Core::EndAttempt(const Job& job) {
  const auto progress = progress_.find(job.id());
  const int64_t last_step = progress == progress_.end() ? 0 : progress->second.step();
  AttemptVerdict verdict = Judge(job, last_step);
  // The next attempt can't go where a machine is lost: it waits once that was no accident.
  const Node* at_fault = cluster_.FindNode(verdict.end.node());
  if (at_fault != nullptr && at_fault->state() == Node::LOST && verdict.failures == 1) {
    verdict.delay_ms = 0;
  }
  const AttemptToken token = job.attempt().token();
  const std::vector<std::string> nodes = NodesOf(job.attempt());
  // (What Slurm placed names Slurm's nodes, which may be called as ours are.)
  if (std::count(nodes.begin(), nodes.end(), verdict.suspect) > 0) {
    Suspect(verdict.suspect, token, verdict.end);
    // Which of the two it is nobody can tell from one attempt.
    if (!verdict.end.unreached_node().empty()) {
      Suspect(verdict.end.unreached_node(), token, verdict.end);
    }
  }
  if (verdict.end.kind() == AttemptEnd::FINISHED) {
    for (const std::string& name : nodes) {
      const Node* node = cluster_.FindNode(name);
      if (node == nullptr || node->suspicions() == 0) continue;
      HistoryEvent cleared = NewEvent();
      cleared.mutable_node_suspected()->set_node(name);
      *cleared.mutable_node_suspected()->mutable_token() = token;
      Emit(std::move(cleared));
    }
  }
  HistoryEvent event = NewEvent();
  HistoryEvent::AttemptEnded& ended = *event.mutable_attempt_ended();
  *ended.mutable_token() = token;
  *ended.mutable_end() = verdict.end;
  ended.set_failures(verdict.failures);
  ended.set_last_step(last_step);
  if (verdict.delay_ms > 0) ended.set_not_before_ms(now_.wall_ms + verdict.delay_ms);
  for (Usage& usage : UsageAfter(job)) *ended.add_usage() = std::move(usage);
  if (!Emit(std::move(event))) return;
  if (verdict.next == AttemptVerdict::Next::kEnd) {
    EndJob(job.id(), verdict.state, verdict.message);
  } else if (verdict.next == AttemptVerdict::Next::kHold) {
    HistoryEvent held = NewEvent();
    held.mutable_job_held()->set_job(job.id());
    held.mutable_job_held()->set_reason(verdict.message);
    Emit(std::move(held));
  }
}

std::vector<Usage> Core::UsageAfter(const Job& job) const {
  const Attempt& attempt = job.attempt();
  const double gpu_seconds =
      GpuEquivalents(attempt) *
      static_cast<double>(ElapsedMs(attempt.placed_steady_ms(), attempt.placed_ms())) / 1000;
  return AddUsage(cluster_, job, gpu_seconds, options_.schedule.usage_half_life_ms, now_.wall_ms);
}

}  // namespace tanren::coordinator
