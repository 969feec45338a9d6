#include "coordinator/state/scheduling_copy.h"

#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

// What is left of a job that has ended.
Job Remains(const Job& job) {
  Job remains;
  remains.set_id(job.id());
  remains.set_user(job.user());
  remains.set_state(job.state());
  remains.set_submitted_ms(job.submitted_ms());
  remains.set_ended_ms(job.ended_ms());
  remains.set_end_message(job.end_message());
  return remains;
}

}  // namespace

SchedulingCopy::SchedulingCopy(const Cluster& cluster) {
  cluster_.epoch = cluster.epoch;
  cluster_.next_job = cluster.next_job;
  cluster_.last_sequence = cluster.last_sequence;
  for (const auto& [id, job] : cluster.jobs) {
    cluster_.jobs.emplace_hint(cluster_.jobs.end(), id,
                               IsTerminal(job.state()) ? Remains(job) : job);
  }
  cluster_.nodes = cluster.nodes;
  cluster_.quotas = cluster.quotas;
  cluster_.usage = cluster.usage;
  cluster_.unsettled = cluster.unsettled;
  cluster_.pending = cluster.pending;
  cluster_.holding = cluster.holding;
  cluster_.loads = cluster.loads;
  cluster_.dependants = cluster.dependants;
  cluster_.pending_of = cluster.pending_of;
  cluster_.ended = cluster.ended;
}

absl::Status SchedulingCopy::Follow(const HistoryEvent& event) {
  TANREN_RETURN_IF_ERROR(Apply(event, cluster_, nullptr));
  if (!event.request().empty()) {
    cluster_.requests.clear();
    cluster_.requests_by_time.clear();
  }
  const auto job = cluster_.jobs.find(JobOf(event));
  if (job != cluster_.jobs.end() && IsTerminal(job->second.state()) && job->second.has_spec()) {
    job->second = Remains(job->second);
  }
  return absl::OkStatus();
}

}  // namespace tanren::coordinator
