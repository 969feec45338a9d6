#include "coordinator/client/event_text.h"

#include "coordinator/client/job_text.h"
#include "coordinator/client/quantities.h"
#include "coordinator/state/cluster.h"
#include "fmt/format.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

std::string With(const std::string& before, const std::string& text) {
  return text.empty() ? "" : before + text;
}

std::string AttemptOf(const AttemptToken& token) {
  return fmt::format("job {} attempt {}", token.job(), token.attempt());
}

std::string SubmittedText(const Job& job) {
  return fmt::format("job {} submitted by {}: {}, {} ranks", job.id(), job.user(),
                     job.spec().name(), RanksOf(job.spec()));
}

std::string NodeJoinedText(const Node& node) {
  return fmt::format("node {} joined: {} GPUs, {:g} cores", node.name(), node.gpus_size(),
                     node.cpu_millis() / 1000.0);
}

std::string StoppingText(const HistoryEvent::AttemptStopping& event) {
  return AttemptOf(event.token()) + " is stopped: " + Words(StopReason_Name(event.reason())) +
         With(", by ", event.by());
}

std::string AttemptEndedText(const HistoryEvent::AttemptEnded& event) {
  return AttemptOf(event.token()) + " ended: " + EndText(event.end());
}

std::string QuotaText(const Quota& quota) {
  return fmt::format("quota of {}: {} GPUs, {:g} cores, {} running jobs, {} waiting jobs, share {}",
                     quota.subject(), quota.gpus(), quota.cpu_millis() / 1000.0,
                     quota.running_jobs(), quota.pending_jobs(), quota.share());
}

std::string KindText(const HistoryEvent& event) {
  switch (event.kind_case()) {
    case HistoryEvent::kEpochBegan:
      return fmt::format("epoch {} began", event.epoch_began().epoch());
    case HistoryEvent::kJobSubmitted:
      return SubmittedText(event.job_submitted().job());
    case HistoryEvent::kRequestsForgotten:
      return "answers to old requests are forgotten";
    case HistoryEvent::kJobHeld:
      return fmt::format("job {} held", event.job_held().job()) +
             With(": ", event.job_held().reason());
    case HistoryEvent::kJobReleased:
      return fmt::format("job {} released", event.job_released().job());
    case HistoryEvent::kCancelRequested:
      return fmt::format("job {} is to be cancelled", event.cancel_requested().job()) +
             With(", by ", event.cancel_requested().by());
    case HistoryEvent::kAttemptPlaced:
      return AttemptOf(event.attempt_placed().attempt().token()) + " placed on " +
             NodesText(event.attempt_placed().attempt());
    case HistoryEvent::kAttemptStarting:
      return AttemptOf(event.attempt_starting().token()) + " starts" +
             With(", Slurm job ", event.attempt_starting().slurm_job()) +
             With(", which waits there: ", event.attempt_starting().slurm_reason());
    case HistoryEvent::kAttemptRunning:
      return AttemptOf(event.attempt_running().token()) + " runs";
    case HistoryEvent::kAttemptStopping:
      return StoppingText(event.attempt_stopping());
    case HistoryEvent::kAttemptUnknown:
      return AttemptOf(event.attempt_unknown().token()) + " unknown: node " +
             event.attempt_unknown().node() + " is silent";
    case HistoryEvent::kAttemptFoundAgain:
      return AttemptOf(event.attempt_found_again().token()) + " found again, " +
             Words(JobState_Name(event.attempt_found_again().state()));
    case HistoryEvent::kPartEnded:
      return AttemptOf(event.part_ended().token()) + " ended on " + event.part_ended().node() +
             ": " + EndText(event.part_ended().end());
    case HistoryEvent::kAttemptEnded:
      return AttemptEndedText(event.attempt_ended());
    case HistoryEvent::kJobEnded:
      return fmt::format("job {} {}", event.job_ended().job(),
                         Words(JobState_Name(event.job_ended().state()))) +
             With(": ", event.job_ended().message());
    case HistoryEvent::kCheckpointPublished:
      return fmt::format("{} published its checkpoint of step {}",
                         AttemptOf(event.checkpoint_published().token()),
                         event.checkpoint_published().checkpoint().step());
    case HistoryEvent::kNodeJoined:
      return NodeJoinedText(event.node_joined().node());
    case HistoryEvent::kNodeStateChanged:
      return fmt::format("node {} is {}", event.node_state_changed().node(),
                         Words(Node::State_Name(event.node_state_changed().state())));
    case HistoryEvent::kNodeDrained:
      return fmt::format("node {} drained", event.node_drained().node()) +
             With(": ", event.node_drained().reason());
    case HistoryEvent::kNodeResumed:
      return fmt::format("node {} takes work again", event.node_resumed().node());
    case HistoryEvent::kNodeSuspected:
      return fmt::format("node {} suspected, {} times in a row", event.node_suspected().node(),
                         event.node_suspected().suspicions());
    case HistoryEvent::kQuotaSet:
      return QuotaText(event.quota_set().quota());
    case HistoryEvent::kJobForgotten:
      return fmt::format("job {} forgotten", event.job_forgotten().job());
    case HistoryEvent::kJobRequeued:
      return fmt::format("job {} is to stop and go on later", event.job_requeued().job()) +
             With(", by ", event.job_requeued().by());
    case HistoryEvent::kNodeRemoved:
      return fmt::format("node {} removed", event.node_removed().node());
    case HistoryEvent::KIND_NOT_SET:
      break;
  }
  return "something that this version doesn't know";
}

}  // namespace

std::string EventText(const HistoryEvent& event, int64_t now_ms) {
  return OnOneLine(fmt::format("{}  {}  {}", event.sequence(), FormatTime(event.time_ms(), now_ms),
                               KindText(event)));
}

}  // namespace tanren::coordinator
