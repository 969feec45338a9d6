#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "coordinator/state/cluster.h"
#include "fmt/format.h"

namespace tanren::coordinator {

bool IsTerminal(JobState state) {
  return state == SUCCEEDED || state == FAILED || state == CANCELLED;
}

bool HoldsNodes(JobState state) {
  return state == PLACED || state == STARTING || state == RUNNING || state == STOPPING ||
         state == UNKNOWN;
}

bool operator==(const AttemptToken& a, const AttemptToken& b) {
  return a.epoch() == b.epoch() && a.job() == b.job() && a.attempt() == b.attempt();
}

bool operator<(const AttemptToken& a, const AttemptToken& b) {
  if (a.epoch() != b.epoch()) return a.epoch() < b.epoch();
  if (a.job() != b.job()) return a.job() < b.job();
  return a.attempt() < b.attempt();
}

std::string TokenText(const AttemptToken& token) {
  return fmt::format("{}.{}.{}", token.epoch(), token.job(), token.attempt());
}

bool FromTokenText(const std::string& text, AttemptToken& token) {
  const std::vector<std::string> parts = absl::StrSplit(text, '.');
  uint64_t epoch = 0;
  uint64_t job = 0;
  uint32_t attempt = 0;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &epoch) ||
      !absl::SimpleAtoi(parts[1], &job) || !absl::SimpleAtoi(parts[2], &attempt)) {
    return false;
  }
  AttemptToken read;
  read.set_epoch(epoch);
  read.set_job(job);
  read.set_attempt(attempt);
  // Numbers have other spellings (" 1", "01") that would be other names of one folder.
  if (TokenText(read) != text) return false;
  token = read;
  return true;
}

std::vector<std::string> NodesOf(const Attempt& attempt) {
  std::vector<std::string> nodes;
  std::set<std::string> seen;
  for (const Placement& placement : attempt.placements()) {
    if (seen.insert(placement.node()).second) nodes.push_back(placement.node());
  }
  return nodes;
}

bool PartHasEnded(const Attempt& attempt, const std::string& node) {
  return std::find(attempt.ended_nodes().begin(), attempt.ended_nodes().end(), node) !=
         attempt.ended_nodes().end();
}

JobState StateBehindUnknown(const Attempt& attempt) {
  if (attempt.stop_reason() != STOP_REASON_UNSPECIFIED) return STOPPING;
  if (attempt.running_ms() != 0) return RUNNING;
  if (attempt.starting_ms() != 0) return STARTING;
  return PLACED;
}

std::string Words(const std::string& name) {
  return absl::StrReplaceAll(absl::AsciiStrToLower(name), {{"_", " "}});
}

std::string JobFolder(const JobSpec& spec, uint64_t job) {
  return fmt::format("{}/job-{}", spec.folder(), job);
}

std::string AttemptFolder(const Job& job, uint32_t attempt) {
  return fmt::format("{}/attempt-{}", JobFolder(job.spec(), job.id()), attempt);
}

uint64_t JobOf(const HistoryEvent& event) {
  switch (event.kind_case()) {
    case HistoryEvent::kJobSubmitted:
      return event.job_submitted().job().id();
    case HistoryEvent::kJobHeld:
      return event.job_held().job();
    case HistoryEvent::kJobReleased:
      return event.job_released().job();
    case HistoryEvent::kCancelRequested:
      return event.cancel_requested().job();
    case HistoryEvent::kAttemptPlaced:
      return event.attempt_placed().attempt().token().job();
    case HistoryEvent::kAttemptStarting:
      return event.attempt_starting().token().job();
    case HistoryEvent::kAttemptRunning:
      return event.attempt_running().token().job();
    case HistoryEvent::kAttemptStopping:
      return event.attempt_stopping().token().job();
    case HistoryEvent::kAttemptUnknown:
      return event.attempt_unknown().token().job();
    case HistoryEvent::kAttemptFoundAgain:
      return event.attempt_found_again().token().job();
    case HistoryEvent::kPartEnded:
      return event.part_ended().token().job();
    case HistoryEvent::kAttemptEnded:
      return event.attempt_ended().token().job();
    case HistoryEvent::kJobEnded:
      return event.job_ended().job();
    case HistoryEvent::kCheckpointPublished:
      return event.checkpoint_published().token().job();
    case HistoryEvent::kNodeSuspected:
      return event.node_suspected().token().job();
    case HistoryEvent::kJobForgotten:
      return event.job_forgotten().job();
    case HistoryEvent::kJobRequeued:
      return event.job_requeued().job();
    default:
      return 0;
  }
}

const Job* Cluster::FindJob(uint64_t id) const {
  const auto found = jobs.find(id);
  return found == jobs.end() ? nullptr : &found->second;
}

absl::Status Cluster::NoJob(uint64_t id) const {
  if (id == 0 || id >= next_job) {
    return absl::NotFoundError(fmt::format("there is no job {}: no job has that number yet", id));
  }
  return absl::NotFoundError(fmt::format(
      "job {} is of the past: it has ended and was forgotten (`tanren status` says how long ended "
      "jobs are kept), or it came after the backup from which this history was restored",
      id));
}

const Node* Cluster::FindNode(const std::string& name) const {
  const auto found = nodes.find(name);
  return found == nodes.end() ? nullptr : &found->second;
}

}  // namespace tanren::coordinator
