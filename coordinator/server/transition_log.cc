#include "coordinator/server/transition_log.h"

#include <set>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "runtime/base/log.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

std::string Of(const AttemptToken& token) {
  return fmt::format("job {} attempt {}", token.job(), token.attempt());
}

std::string NodesOf(const Attempt& attempt) {
  std::set<std::string> nodes;
  for (const Placement& placement : attempt.placements()) nodes.insert(placement.node());
  if (nodes.size() > 4) return fmt::format("{} nodes, {} first", nodes.size(), *nodes.begin());
  return fmt::format("{}", fmt::join(nodes, ", "));
}

std::string EndText(const AttemptEnd& end) {
  std::string text = AttemptEnd::Kind_Name(end.kind());
  if (!end.node().empty()) text += " on " + end.node();
  if (!end.message().empty()) text += ": " + end.message().substr(0, 500);
  return text;
}

std::string JobEventText(const HistoryEvent& event) {
  switch (event.kind_case()) {
    case HistoryEvent::kJobSubmitted: {
      const Job& job = event.job_submitted().job();
      return fmt::format("job {}: {} submitted by {}", job.id(), job.spec().name(), job.user());
    }
    case HistoryEvent::kJobHeld:
      return fmt::format("job {}: held: {}", event.job_held().job(), event.job_held().reason());
    case HistoryEvent::kJobReleased:
      return fmt::format("job {}: released", event.job_released().job());
    case HistoryEvent::kCancelRequested:
      return fmt::format("job {}: to be cancelled, says {}", event.cancel_requested().job(),
                         event.cancel_requested().by());
    case HistoryEvent::kJobEnded:
      return fmt::format("job {}: {}{}{}", event.job_ended().job(),
                         JobState_Name(event.job_ended().state()),
                         event.job_ended().message().empty() ? "" : ": ",
                         event.job_ended().message().substr(0, 500));
    case HistoryEvent::kJobForgotten:
      return fmt::format("job {}: forgotten", event.job_forgotten().job());
    case HistoryEvent::kJobRequeued:
      return fmt::format("job {}: to be requeued, says {}", event.job_requeued().job(),
                         event.job_requeued().by());
    default:
      return "";
  }
}

std::string AttemptEventText(const HistoryEvent& event) {
  switch (event.kind_case()) {
    case HistoryEvent::kAttemptPlaced:
      return fmt::format("{}: placed on {}", Of(event.attempt_placed().attempt().token()),
                         NodesOf(event.attempt_placed().attempt()));
    case HistoryEvent::kAttemptStarting:
      return Of(event.attempt_starting().token()) + ": starting";
    case HistoryEvent::kAttemptRunning:
      return Of(event.attempt_running().token()) + ": running";
    case HistoryEvent::kAttemptStopping:
      return fmt::format("{}: stopping: {} {}", Of(event.attempt_stopping().token()),
                         StopReason_Name(event.attempt_stopping().reason()),
                         event.attempt_stopping().by());
    case HistoryEvent::kAttemptUnknown:
      return fmt::format("{}: unknown, because {} is silent", Of(event.attempt_unknown().token()),
                         event.attempt_unknown().node());
    case HistoryEvent::kAttemptFoundAgain:
      return fmt::format("{}: found again, {}", Of(event.attempt_found_again().token()),
                         JobState_Name(event.attempt_found_again().state()));
    case HistoryEvent::kPartEnded:
      return fmt::format("{}: nothing runs on {} any more: {}", Of(event.part_ended().token()),
                         event.part_ended().node(), EndText(event.part_ended().end()));
    case HistoryEvent::kAttemptEnded:
      return fmt::format("{}: ended: {}", Of(event.attempt_ended().token()),
                         EndText(event.attempt_ended().end()));
    case HistoryEvent::kCheckpointPublished:
      return fmt::format("{}: checkpoint of step {} published",
                         Of(event.checkpoint_published().token()),
                         event.checkpoint_published().checkpoint().step());
    default:
      return "";
  }
}

std::string NodeEventText(const HistoryEvent& event) {
  switch (event.kind_case()) {
    case HistoryEvent::kEpochBegan:
      return fmt::format("epoch {} began", event.epoch_began().epoch());
    case HistoryEvent::kNodeJoined:
      return fmt::format("node {}: joined, {} GPUs", event.node_joined().node().name(),
                         event.node_joined().node().gpus_size());
    case HistoryEvent::kNodeStateChanged:
      return fmt::format("node {}: {}", event.node_state_changed().node(),
                         Node::State_Name(event.node_state_changed().state()));
    case HistoryEvent::kNodeDrained:
      return fmt::format("node {}: takes no new work: {}", event.node_drained().node(),
                         event.node_drained().reason());
    case HistoryEvent::kNodeResumed:
      return fmt::format("node {}: takes work again", event.node_resumed().node());
    case HistoryEvent::kNodeSuspected:
      return fmt::format("node {}: {} faults in a row", event.node_suspected().node(),
                         event.node_suspected().suspicions());
    case HistoryEvent::kNodeRemoved:
      return fmt::format("node {}: removed", event.node_removed().node());
    case HistoryEvent::kQuotaSet:
      return fmt::format("quota of {} set", event.quota_set().quota().subject());
    default:
      return "";
  }
}

}  // namespace

std::string TransitionText(const HistoryEvent& event) {
  std::string text = JobEventText(event);
  if (text.empty()) text = AttemptEventText(event);
  if (text.empty()) text = NodeEventText(event);
  return OnOneLine(text);
}

void LogTransition(const HistoryEvent& event) { LogInfo("{}", TransitionText(event)); }

}  // namespace tanren::coordinator
