#include <algorithm>
#include <utility>

#include "coordinator/state/apply_event.h"
#include "coordinator/state/attempt_end.h"
#include "coordinator/state/node_load.h"
#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

constexpr int kEarlierAttemptsKept = 16;
// A job's record is written with each of its events: what earlier attempts of large gangs had where
// is kept for a few only.
constexpr int kLargeGang = 128;
constexpr int kLargeGangsKept = 2;

void Touch(const Job& job, const EventContext& context) {
  context.names.insert({RecordKind::kJob, JobKey(job.id())});
}

absl::Status Illegal(const Job& job, std::string_view what) {
  return absl::InternalError(
      fmt::format("job {} is {}: {}", job.id(), JobState_Name(job.state()), what));
}

void KeepEarlierAttempt(Job& job) {
  if (!job.has_attempt()) return;
  *job.add_earlier_attempts() = std::move(*job.mutable_attempt());
  for (int i = 0; i < job.earlier_attempts_size(); ++i) {
    Attempt& earlier = *job.mutable_earlier_attempts(i);
    const bool is_old = i < job.earlier_attempts_size() - kLargeGangsKept;
    if (is_old) earlier.mutable_end()->clear_log_tail();
    if (is_old && earlier.placements_size() > kLargeGang) {
      earlier.clear_placements();
      earlier.clear_ended_nodes();
    }
  }
  if (job.earlier_attempts_size() > kEarlierAttemptsKept) {
    job.mutable_earlier_attempts()->DeleteSubrange(
        0, job.earlier_attempts_size() - kEarlierAttemptsKept);
  }
}

absl::Status ApplyPlaced(const EventContext& context) {
  const Attempt& attempt = context.event.attempt_placed().attempt();
  const AttemptToken& token = attempt.token();
  Cluster& cluster = context.cluster;
  TANREN_ASSIGN_OR_RETURN(Job * job, LivingJob(token.job(), cluster));
  if (job->state() != PENDING) return Illegal(*job, "it can't be placed");
  if (job->held()) return Illegal(*job, "it is held");
  if (token.epoch() != cluster.epoch || token.attempt() != job->attempts() + 1) {
    return Illegal(*job, fmt::format("its next attempt is {}.{}.{}, not {}", cluster.epoch,
                                     job->id(), job->attempts() + 1, TokenText(token)));
  }
  if (attempt.placements().empty()) return Illegal(*job, "it is placed nowhere");
  TANREN_RETURN_IF_ERROR(CheckFits(attempt, cluster));
  RemoveFromIndices(*job, cluster);
  KeepEarlierAttempt(*job);
  *job->mutable_attempt() = attempt;
  job->mutable_attempt()->set_placed_ms(context.event.time_ms());
  job->mutable_attempt()->set_placed_steady_ms(context.event.steady_ms());
  job->set_attempts(token.attempt());
  job->set_not_before_ms(0);
  job->set_state(PLACED);
  AddToIndices(*job, cluster);
  cluster.unsettled = false;
  Touch(*job, context);
  return absl::OkStatus();
}

absl::Status ApplyStarting(const EventContext& context) {
  const auto& starting = context.event.attempt_starting();
  TANREN_ASSIGN_OR_RETURN(Job * job, JobOfToken(starting.token(), context.cluster));
  if (job->state() != PLACED && job->state() != STARTING) return Illegal(*job, "it can't start");
  Attempt& attempt = *job->mutable_attempt();
  if (attempt.starting_ms() == 0) attempt.set_starting_ms(context.event.time_ms());
  if (!starting.slurm_job().empty()) attempt.set_slurm_job(starting.slurm_job());
  attempt.set_slurm_reason(starting.slurm_reason());
  job->set_state(STARTING);
  Touch(*job, context);
  return absl::OkStatus();
}

absl::Status ApplyRunning(const EventContext& context) {
  TANREN_ASSIGN_OR_RETURN(Job * job,
                          JobOfToken(context.event.attempt_running().token(), context.cluster));
  if (job->state() != PLACED && job->state() != STARTING) return Illegal(*job, "it can't run");
  job->mutable_attempt()->set_running_ms(context.event.time_ms());
  job->mutable_attempt()->set_running_steady_ms(context.event.steady_ms());
  job->mutable_attempt()->clear_slurm_reason();
  job->set_state(RUNNING);
  Touch(*job, context);
  return absl::OkStatus();
}

// A second reason only where it hastens the end.
absl::Status ApplyStopping(const EventContext& context) {
  const auto& stopping = context.event.attempt_stopping();
  TANREN_ASSIGN_OR_RETURN(Job * job, JobOfToken(stopping.token(), context.cluster));
  Attempt& attempt = *job->mutable_attempt();
  if (stopping.reason() == STOP_REASON_UNSPECIFIED) return Illegal(*job, "no reason to stop it");
  if (attempt.stop_reason() != STOP_REASON_UNSPECIFIED &&
      (stopping.reason() != CANCELLED_BY_USER || attempt.stop_reason() == CANCELLED_BY_USER)) {
    return Illegal(*job, "it is being stopped already");
  }
  attempt.set_stop_reason(stopping.reason());
  attempt.set_stop_by(stopping.by());
  attempt.set_stopping_ms(context.event.time_ms());
  // A job of which a node is silent stays UNKNOWN until it is heard of, or lost.
  if (job->state() != UNKNOWN) job->set_state(STOPPING);
  Touch(*job, context);
  return absl::OkStatus();
}

absl::Status ApplyUnknown(const EventContext& context) {
  TANREN_ASSIGN_OR_RETURN(Job * job,
                          JobOfToken(context.event.attempt_unknown().token(), context.cluster));
  if (job->state() == UNKNOWN) return Illegal(*job, "it is UNKNOWN already");
  job->set_state(UNKNOWN);
  Touch(*job, context);
  return absl::OkStatus();
}

absl::Status ApplyFoundAgain(const EventContext& context) {
  const auto& found = context.event.attempt_found_again();
  TANREN_ASSIGN_OR_RETURN(Job * job, JobOfToken(found.token(), context.cluster));
  if (job->state() != UNKNOWN) return Illegal(*job, "it was not lost");
  if (found.state() != StateBehindUnknown(job->attempt())) {
    return Illegal(*job, fmt::format("it was not {}", JobState_Name(found.state())));
  }
  job->set_state(found.state());
  Touch(*job, context);
  return absl::OkStatus();
}

absl::Status ApplyPartEnded(const EventContext& context) {
  const auto& part = context.event.part_ended();
  TANREN_ASSIGN_OR_RETURN(Job * job, JobOfToken(part.token(), context.cluster));
  const std::vector<std::string> nodes = NodesOf(job->attempt());
  if (std::find(nodes.begin(), nodes.end(), part.node()) == nodes.end()) {
    return Illegal(*job, fmt::format("it has no part on node {}", part.node()));
  }
  if (PartHasEnded(job->attempt(), part.node())) {
    return Illegal(*job, fmt::format("its part on node {} has ended already", part.node()));
  }
  Attempt& attempt = *job->mutable_attempt();
  if (SpeaksForTheGang(attempt, part.node(), part.end())) *attempt.mutable_end() = part.end();
  attempt.add_ended_nodes(part.node());
  GiveBackLoad(*job, part.node(), context.cluster);
  Touch(*job, context);
  return absl::OkStatus();
}

absl::Status ApplyAttemptEnded(const EventContext& context) {
  const auto& ended = context.event.attempt_ended();
  TANREN_ASSIGN_OR_RETURN(Job * job, JobOfToken(ended.token(), context.cluster));
  for (const std::string& node : NodesOf(job->attempt())) {
    if (!PartHasEnded(job->attempt(), node)) {
      return Illegal(*job, fmt::format("its part on node {} may live", node));
    }
  }
  RemoveFromIndices(*job, context.cluster);
  Attempt& attempt = *job->mutable_attempt();
  *attempt.mutable_end() = ended.end();
  attempt.set_ended_ms(context.event.time_ms());
  attempt.set_last_step(ended.last_step());
  job->set_state(PENDING);
  job->set_not_before_ms(ended.not_before_ms());
  job->set_failures(ended.failures());
  AddToIndices(*job, context.cluster);
  for (const Usage& usage : ended.usage()) {
    context.cluster.usage[usage.subject()] = usage;
    context.names.insert({RecordKind::kUsage, usage.subject()});
  }
  Touch(*job, context);
  return absl::OkStatus();
}

absl::Status ApplyCheckpoint(const EventContext& context) {
  const auto& published = context.event.checkpoint_published();
  TANREN_ASSIGN_OR_RETURN(Job * job, JobOfToken(published.token(), context.cluster));
  if (published.token().epoch() != context.cluster.epoch) {
    return Illegal(*job, "a checkpoint of an epoch of the past");
  }
  if (published.checkpoint().step() < job->checkpoint().step()) {
    return Illegal(*job, fmt::format("a checkpoint of step {} after that of step {}",
                                     published.checkpoint().step(), job->checkpoint().step()));
  }
  *job->mutable_checkpoint() = published.checkpoint();
  job->set_failures(0);
  Touch(*job, context);
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyAttemptEvent(const EventContext& context) {
  switch (context.event.kind_case()) {
    case HistoryEvent::kAttemptPlaced:
      return ApplyPlaced(context);
    case HistoryEvent::kAttemptStarting:
      return ApplyStarting(context);
    case HistoryEvent::kAttemptRunning:
      return ApplyRunning(context);
    case HistoryEvent::kAttemptStopping:
      return ApplyStopping(context);
    case HistoryEvent::kAttemptUnknown:
      return ApplyUnknown(context);
    case HistoryEvent::kAttemptFoundAgain:
      return ApplyFoundAgain(context);
    case HistoryEvent::kPartEnded:
      return ApplyPartEnded(context);
    case HistoryEvent::kAttemptEnded:
      return ApplyAttemptEnded(context);
    default:
      return ApplyCheckpoint(context);
  }
}

}  // namespace tanren::coordinator
