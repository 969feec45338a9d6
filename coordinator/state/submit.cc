// Submissions: each is made once, however often it is sent.
#include <algorithm>
#include <utility>

#include "coordinator/state/core.h"
#include "coordinator/state/node_load.h"
#include "coordinator/state/request_fingerprint.h"
#include "coordinator/state/spec_check.h"
#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

// Whether the dependency holds, given how its job ended.
bool Holds(Dependency::Kind kind, JobState ended) {
  switch (kind) {
    case Dependency::AFTER_SUCCESS:
      return ended == SUCCEEDED;
    case Dependency::AFTER_FAILURE:
      return ended == FAILED;
    default:
      return true;
  }
}

std::string NeverHolds(const Dependency& dependency, const Job& job) {
  return fmt::format("it was to run after the {} of job {}, which {}{}",
                     dependency.kind() == Dependency::AFTER_SUCCESS ? "success" : "failure",
                     job.id(), job.state() == CANCELLED ? "was " : "",
                     Words(JobState_Name(job.state())));
}

}  // namespace

void Core::Handle(const SubmitInput& input) {
  outcome_.status = CheckRequestId(input.request_id);
  if (!outcome_.status.ok()) return;
  const uint64_t fingerprint = RequestFingerprint("submit", Serialized(input.spec));
  if (AnswerAgain(input.user, input.request_id, fingerprint)) return;
  Job job;
  job.set_user(input.user);
  job.set_request_id(input.request_id);
  *job.mutable_spec() = Completed(input.spec, options_);
  job.set_state(PENDING);
  job.set_submitted_ms(now_.wall_ms);
  if (input.spec.held()) {
    job.set_held(true);
    job.set_hold_reason("submitted with --hold");
  }
  const int32_t count = std::max(input.spec.array_size(), 1);
  outcome_.status = CheckSpec(input.spec, options_);
  if (outcome_.status.ok()) outcome_.status = CheckDependencies(input.spec);
  if (outcome_.status.ok()) outcome_.status = CheckPendingQuota(job, count);
  if (!outcome_.status.ok()) return;
  const uint64_t first = std::max(cluster_.next_job, first_free_job_);
  for (int32_t i = 0; i < count; ++i) {
    job.set_id(first + static_cast<uint64_t>(i));
    if (input.spec.array_size() > 0) {
      job.set_array(first);
      job.set_array_index(i);
    }
    HistoryEvent event = NewEvent();
    event.set_request(input.user + "/" + input.request_id);
    event.set_request_fingerprint(fingerprint);
    *event.mutable_job_submitted()->mutable_job() = job;
    if (!Emit(std::move(event))) return;
    outcome_.jobs.push_back(job.id());
  }
  for (const Dependency& dependency : input.spec.dependencies()) {
    const Job& other = cluster_.jobs.at(dependency.job());
    if (IsTerminal(other.state())) DecideDependants(other);
  }
}

bool Core::AnswerAgain(const std::string& user, const std::string& request_id,
                       uint64_t fingerprint) {
  const auto found = cluster_.requests.find(user + "/" + request_id);
  if (found == cluster_.requests.end()) return false;
  if (found->second.fingerprint() != fingerprint) {
    outcome_.status = absl::InvalidArgumentError(fmt::format(
        "request_id: \"{}\" was used for another request before; each takes an id of its own",
        request_id));
    return true;
  }
  outcome_.jobs.assign(found->second.jobs().begin(), found->second.jobs().end());
  return true;
}

absl::Status Core::CheckDependencies(const JobSpec& spec) const {
  for (const Dependency& dependency : spec.dependencies()) {
    if (cluster_.FindJob(dependency.job()) != nullptr) continue;
    return absl::InvalidArgumentError(fmt::format("dependencies: job {} {}", dependency.job(),
                                                  dependency.job() < cluster_.next_job
                                                      ? "has ended and is no longer in the history"
                                                      : "doesn't exist"));
  }
  return absl::OkStatus();
}

absl::Status Core::CheckPendingQuota(const Job& job, int64_t more) const {
  const auto all = static_cast<int64_t>(cluster_.pending.size());
  if (options_.waiting_jobs > 0 && all + more > options_.waiting_jobs) {
    return absl::ResourceExhaustedError(fmt::format(
        "{} jobs may wait here, of all users together: {} wait, {} more were submitted. Submit "
        "them when fewer wait, or have the coordinator started with a greater --waiting-jobs",
        options_.waiting_jobs, all, more));
  }
  for (const std::string& subject : SubjectsOf(job)) {
    const auto quota = cluster_.quotas.find(subject);
    int64_t limit = quota == cluster_.quotas.end() ? 0 : quota->second.pending_jobs();
    if (limit == 0 && subject.starts_with(kUserPrefix)) limit = options_.waiting_jobs_of_user;
    if (limit == 0) continue;
    const auto pending = cluster_.pending_of.find(subject);
    const int64_t now = pending == cluster_.pending_of.end() ? 0 : pending->second;
    if (now + more <= limit) continue;
    return absl::ResourceExhaustedError(fmt::format(
        "{0} may have {1} jobs waiting: {2} wait, {3} more were submitted. Submit them when fewer "
        "wait, or ask an administrator for more (tanren admin quota {0} --waiting N)",
        subject, limit, now, more));
  }
  return absl::OkStatus();
}

// Jobs that wait for this one to end otherwise than it did never run.
void Core::DecideDependants(const Job& ended) {
  const auto found = cluster_.dependants.find(ended.id());
  if (found == cluster_.dependants.end()) return;
  const std::set<uint64_t> dependants = found->second;
  for (const uint64_t id : dependants) {
    const Job& job = cluster_.jobs.at(id);
    if (job.state() != PENDING) continue;  // by way of another dependency
    for (const Dependency& dependency : job.spec().dependencies()) {
      if (dependency.job() != ended.id() || Holds(dependency.kind(), ended.state())) continue;
      EndJob(id, CANCELLED, NeverHolds(dependency, ended));
      break;
    }
  }
}

// Chains of dependants can be as long as the queue: they are followed one after the other.
void Core::EndJob(uint64_t id, JobState state, const std::string& message) {
  HistoryEvent event = NewEvent();
  event.mutable_job_ended()->set_job(id);
  event.mutable_job_ended()->set_state(state);
  event.mutable_job_ended()->set_message(message);
  if (!Emit(std::move(event))) return;
  ended_now_.push_back(id);
  if (ended_now_.size() > 1) return;  // called from below
  for (size_t i = 0; i < ended_now_.size(); ++i) {
    DecideDependants(cluster_.jobs.at(ended_now_[i]));
  }
  ended_now_.clear();
}

}  // namespace tanren::coordinator
