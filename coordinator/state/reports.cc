// What agents report, and what follows from it for attempts.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "coordinator/state/core.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

constexpr size_t kLongestFolder = 4096;
constexpr size_t kLongestSlurmJob = 64;
constexpr size_t kLongestSlurmReason = 256;

bool IsShownReason(const std::string& reason) {
  return reason.size() <= kLongestSlurmReason &&
         std::all_of(reason.begin(), reason.end(),
                     [](char c) { return absl::ascii_isprint(static_cast<unsigned char>(c)); });
}
// No agent knows of so many jobs that we don't: what claims to is wrong.
constexpr uint64_t kMostUnknownJobs = 1'000'000'000;

}  // namespace

void Core::Handle(const ReportInput& input) {
  const auto found = sessions_.find(input.node);
  if (found == sessions_.end() || !found->second.connected ||
      found->second.stream != input.stream || cluster_.FindNode(input.node) == nullptr) {
    outcome_.status = absl::FailedPreconditionError(
        fmt::format("a report of node {}, which has not joined", input.node));
    return;
  }
  Session& session = found->second;
  const NodeReport& report = input.report;
  if (report.sequence() <= session.last_report) return;  // late or doubled
  session.last_report = report.sequence();
  session.heard_steady_ms = now_.steady_ms;
  session.heard_wall_ms = now_.wall_ms;
  if (cluster_.FindNode(input.node)->state() != Node::UP) {
    FindAgain(input.node);
    node_deadlines_.insert({now_.steady_ms + options_.silent_ms, input.node});
  }
  if (!session.reported) {
    session.reported = true;
    AskForPass(now_.steady_ms);  // it takes work from now on
  }
  std::set<uint64_t> listed;
  std::set<AttemptToken> strangers;
  for (const PartReport& part : report.parts()) {
    const Job* job = cluster_.FindJob(part.token().job());
    if (part.token().job() < cluster_.next_job + kMostUnknownJobs) {
      first_free_job_ = std::max(first_free_job_, part.token().job() + 1);
    }
    if (job != nullptr && cluster_.loads[input.node].jobs.contains(job->id()) &&
        job->attempt().token() == part.token()) {
      listed.insert(job->id());
      TakePart(input.node, part, session);
    } else if (part.state() != PART_ENDED) {
      strangers.insert(part.token());
    }
  }
  NoteStrangers(std::move(strangers), session);
  const std::set<uint64_t> jobs = cluster_.loads[input.node].jobs;
  for (const uint64_t id : jobs) {
    if (!listed.contains(id)) MissPart(input.node, cluster_.jobs.at(id), report.orders(), session);
  }
  touched_.insert(input.node);
}

void Core::NoteStrangers(std::set<AttemptToken> strangers, Session& session) {
  for (const AttemptToken& token : session.strangers) {
    if (--strange_jobs_[token.job()] == 0) strange_jobs_.erase(token.job());
  }
  if (now_.steady_ms < session.former_until_ms) strangers.merge(session.strangers);
  if (session.strangers.size() > strangers.size()) AskForPass(now_.steady_ms);
  session.strangers = std::move(strangers);
  for (const AttemptToken& token : session.strangers) ++strange_jobs_[token.job()];
}

void Core::TakePart(const std::string& node, const PartReport& report, Session& session) {
  const Job& job = cluster_.jobs.at(report.token().job());
  Part& part = session.parts[job.id()];
  part.seen = true;
  part.unlisted_until_ms = 0;
  part.running = report.state() == PART_RUNNING;
  const bool is_new_in_slurm = !report.slurm_job().empty() &&
                               report.slurm_job().size() <= kLongestSlurmJob &&
                               report.slurm_job() != job.attempt().slurm_job();
  const bool waits_anew =
      report.slurm_reason() != job.attempt().slurm_reason() && IsShownReason(report.slurm_reason());
  if (job.state() == PLACED || (job.state() == STARTING && (is_new_in_slurm || waits_anew))) {
    HistoryEvent event = NewEvent();
    *event.mutable_attempt_starting()->mutable_token() = report.token();
    if (is_new_in_slurm) event.mutable_attempt_starting()->set_slurm_job(report.slurm_job());
    if (IsShownReason(report.slurm_reason())) {
      event.mutable_attempt_starting()->set_slurm_reason(report.slurm_reason());
    }
    Emit(std::move(event));
  }
  if ((job.state() == PLACED || job.state() == STARTING) && RunsEverywhere(job)) {
    HistoryEvent event = NewEvent();
    *event.mutable_attempt_running()->mutable_token() = report.token();
    Emit(std::move(event));
  }
  if (report.has_progress()) {
    Progress& progress = progress_[job.id()];
    progress = report.progress();
    progress.set_heard_ms(now_.wall_ms);
  }
  if (report.has_checkpoint()) Publish(job, report.checkpoint());
  if (report.state() == PART_ENDED) {
    EndPart(job, node, report.end());
    Settle(job.id());
  } else if (report.hung() && job.attempt().stop_reason() == STOP_REASON_UNSPECIFIED) {
    Stop(job, HANG, fmt::format("no step for too long, says node {}", node));
  }
}

bool Core::RunsEverywhere(const Job& job) const {
  for (const std::string& node : NodesOf(job.attempt())) {
    const auto session = sessions_.find(node);
    if (session == sessions_.end()) return false;
    const auto part = session->second.parts.find(job.id());
    if (part == session->second.parts.end() || !part->second.running) return false;
  }
  return true;
}

// A part that holds the node, but that the agent does not list.
void Core::MissPart(const std::string& node, const Job& job, uint64_t orders, Session& session) {
  const Part& part = session.parts[job.id()];
  if (now_.steady_ms < part.unlisted_until_ms) return;
  // Until it has answered orders of this very stream, these may be words of long ago that come late
  // or once more.
  if (orders <= session.orders_before) return;
  const Attempt& attempt = job.attempt();
  AttemptEnd end;
  end.set_node(node);
  end.set_rank(-1);
  if (part.seen || attempt.running_ms() != 0) {
    end.set_kind(AttemptEnd::INFRASTRUCTURE);
    end.set_message(fmt::format("node {} knows nothing of it any more", node));
  } else if (part.stop_order != 0 && orders >= part.stop_order) {
    end.set_kind(AttemptEnd::NEVER_STARTED);
    end.set_message("it was stopped before it began");
  } else {
    return;  // the order to start it is on its way
  }
  EndPart(job, node, std::move(end));
  Settle(job.id());
}

// Only the present attempt publishes, in its own folder, and never back in time.
void Core::Publish(const Job& job, const Checkpoint& checkpoint) {
  const AttemptToken& token = job.attempt().token();
  const std::string own = AttemptFolder(job, token.attempt()) + "/";
  const std::string& folder = checkpoint.folder();
  if (token.epoch() != cluster_.epoch) return;
  if (!absl::StartsWith(folder, own) || folder.size() == own.size()) return;
  if (folder.size() > kLongestFolder) return;
  if (absl::StrContains(folder, "/../") || absl::EndsWith(folder, "/..")) return;
  if (checkpoint.step() < job.checkpoint().step() || folder == job.checkpoint().folder()) return;
  HistoryEvent event = NewEvent();
  *event.mutable_checkpoint_published()->mutable_token() = token;
  Checkpoint& published = *event.mutable_checkpoint_published()->mutable_checkpoint();
  published = checkpoint;
  published.set_attempt(token.attempt());
  published.set_published_ms(now_.wall_ms);
  Emit(std::move(event));
}

}  // namespace tanren::coordinator
