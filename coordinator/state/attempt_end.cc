#include "coordinator/state/attempt_end.h"

#include <algorithm>
#include <map>

#include "coordinator/state/cluster.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

// For people, where a part's end says nothing.
std::string Describe(const AttemptEnd& end) {
  std::string text = end.message();
  if (text.empty() && end.signal() != 0) text = fmt::format("ended by signal {}", end.signal());
  if (text.empty() && end.exit_code() != 0) text = fmt::format("exit code {}", end.exit_code());
  if (text.empty()) text = AttemptEnd::Kind_Name(end.kind());
  if (!end.node().empty()) text += fmt::format(" (node {})", end.node());
  return text;
}

bool GotToAStep(const Job& job, int64_t last_step) {
  if (last_step > 0 || job.has_checkpoint()) return true;
  return std::any_of(job.earlier_attempts().begin(), job.earlier_attempts().end(),
                     [](const Attempt& attempt) { return attempt.last_step() > 0; });
}

bool SavedInThisAttempt(const Job& job) {
  return job.has_checkpoint() && job.checkpoint().attempt() == job.attempt().token().attempt();
}

int64_t BackOff(const RestartPolicy& policy, int32_t failures) {
  int64_t delay = policy.first_delay_ms();
  for (int32_t i = 1; i < failures && delay < policy.longest_delay_ms(); ++i) delay *= 2;
  return std::min(delay, policy.longest_delay_ms());
}

AttemptVerdict Ends(AttemptVerdict verdict, JobState state, std::string message) {
  verdict.next = AttemptVerdict::Next::kEnd;
  verdict.state = state;
  verdict.message = std::move(message);
  return verdict;
}

AttemptVerdict AfterTimeLimit(const Job& job, AttemptVerdict verdict) {
  if (verdict.end.kind() == AttemptEnd::SAVED) return verdict;
  return Ends(std::move(verdict), FAILED,
              fmt::format("its time limit of {} s has passed, and it did not save and exit with "
                          "code 75 when asked to",
                          job.spec().time_limit_ms() / 1000));
}

AttemptVerdict AfterFailure(const Job& job, int64_t last_step, AttemptVerdict verdict) {
  const RestartPolicy& policy = job.spec().restart();
  const int32_t retries = std::max(policy.retries(), 0);
  if (job.attempt().starting_ms() == 0 && verdict.end.kind() == AttemptEnd::INFRASTRUCTURE) {
    // Its node was lost before it told of it: that is no attempt to count.
    verdict.delay_ms = policy.first_delay_ms();
    return verdict;
  }
  verdict.failures = job.failures() + 1;
  verdict.suspect = verdict.end.node();
  if (verdict.failures <= retries) {
    verdict.delay_ms = BackOff(policy, verdict.failures);
    return verdict;
  }
  const std::string last = Describe(verdict.end);
  if (retries > 0 && !GotToAStep(job, last_step)) {
    verdict.next = AttemptVerdict::Next::kHold;
    verdict.message = fmt::format(
        "{} attempts in a row failed before their first step; release it once the cause is mended. "
        "The last: {}",
        verdict.failures, last);
    return verdict;
  }
  if (retries == 0) return Ends(std::move(verdict), FAILED, last + "; it has no retries");
  const std::string since =
      job.has_checkpoint() ? fmt::format("since the checkpoint of step {}", job.checkpoint().step())
                           : "and no checkpoint was published";
  std::string message =
      fmt::format("{} attempts failed {}. The last: {}", verdict.failures, since, last);
  return Ends(std::move(verdict), FAILED, std::move(message));
}

// The end as it is to be told, given why we stopped it.
AttemptEnd FinalEnd(const Attempt& attempt) {
  AttemptEnd end = attempt.end();
  if (attempt.stop_reason() == HANG && end.kind() != AttemptEnd::FINISHED) {
    if (end.message().empty() || end.kind() == AttemptEnd::STOPPED) {
      end.set_message(attempt.stop_by().empty() ? "no step for too long" : attempt.stop_by());
    }
    end.set_kind(AttemptEnd::HUNG);
  }
  if (end.kind() == AttemptEnd::KIND_UNSPECIFIED) end.set_kind(AttemptEnd::STOPPED);
  return end;
}

}  // namespace

bool BreaksTheGang(AttemptEnd::Kind kind) {
  return kind != AttemptEnd::FINISHED && kind != AttemptEnd::SAVED;
}

bool SpeaksForTheGang(const Attempt& attempt, const std::string& node, const AttemptEnd& end) {
  const std::string& head = attempt.placements(0).node();
  if (node == head && end.kind() == AttemptEnd::FINISHED) return true;
  const bool stopping = attempt.stop_reason() != STOP_REASON_UNSPECIFIED;
  const bool broken = attempt.has_end() && BreaksTheGang(attempt.end().kind());
  if (broken) return false;
  if (node == head) return true;
  const bool head_ended = PartHasEnded(attempt, head);
  return !stopping && !head_ended && BreaksTheGang(end.kind());
}

AttemptVerdict Judge(const Job& job, int64_t last_step) {
  const Attempt& attempt = job.attempt();
  AttemptVerdict verdict;
  verdict.end = FinalEnd(attempt);
  verdict.failures = job.failures();
  if (verdict.end.kind() == AttemptEnd::FINISHED) return Ends(std::move(verdict), SUCCEEDED, "");
  if (job.cancel_requested()) return Ends(std::move(verdict), CANCELLED, job.end_message());
  switch (attempt.stop_reason()) {
    case TIME_LIMIT:
      return AfterTimeLimit(job, std::move(verdict));
    case PREEMPTED:
    case NODE_DRAINED:
    case REQUEUED_BY_USER:
    case FENCED:
      return verdict;
    default:
      break;
  }
  switch (verdict.end.kind()) {
    case AttemptEnd::USER_ERROR: {
      std::string message = Describe(verdict.end);
      return Ends(std::move(verdict), FAILED, std::move(message));
    }
    case AttemptEnd::SAVED:
    case AttemptEnd::STOPPED:
      // A job that saves and exits at once, over and over, must not spin.
      if (!SavedInThisAttempt(job)) verdict.delay_ms = job.spec().restart().first_delay_ms();
      return verdict;
    default:
      return AfterFailure(job, last_step, std::move(verdict));
  }
}

std::vector<std::string> NodesToAvoid(const Job& job) {
  std::map<std::string, int> faults;
  const auto add = [&faults](const Attempt& attempt) {
    const AttemptEnd& end = attempt.end();
    const bool is_its_nodes_fault =
        end.signal() == 0 &&
        (end.kind() == AttemptEnd::INFRASTRUCTURE || end.kind() == AttemptEnd::NEVER_STARTED);
    if (!is_its_nodes_fault) return;
    for (const std::string& node : {end.node(), end.unreached_node()}) {
      if (!node.empty()) ++faults[node];
    }
  };
  const int earlier = std::min(job.failures() - 1, job.earlier_attempts_size());
  if (job.failures() > 0) add(job.attempt());
  for (int i = 1; i <= earlier; ++i) {
    add(job.earlier_attempts(job.earlier_attempts_size() - i));
  }
  std::vector<std::string> nodes;
  for (const auto& [node, count] : faults) nodes.push_back(node);
  std::stable_sort(nodes.begin(), nodes.end(),
                   [&faults](const auto& a, const auto& b) { return faults.at(a) > faults.at(b); });
  return nodes;
}

}  // namespace tanren::coordinator
