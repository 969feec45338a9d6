#include "coordinator/client/job_text.h"

#include <cmath>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "coordinator/client/quantities.h"
#include "coordinator/state/cluster.h"
#include "fmt/format.h"
#include "runtime/base/machine.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

std::string Counted(int64_t count, const std::string& what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

class Lines {
 public:
  // Nothing where `value` is empty.
  void Add(const std::string& name, const std::string& value) {
    if (!value.empty()) text_ += fmt::format("{:<12} {}\n", name, ForTerminal(value));
  }
  void AddBlock(const std::string& title, const std::string& block) {
    if (!block.empty()) text_ += fmt::format("\n{}\n{}\n", title, ForTerminal(block));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string RolesText(const JobSpec& spec) {
  std::vector<std::string> roles;
  for (const Role& role : spec.roles()) {
    roles.push_back(fmt::format("{} {} of {} each", Counted(role.ranks(), "rank"), role.name(),
                                ResourcesText(role.per_rank())));
  }
  return absl::StrJoin(roles, "; ");
}

std::string DependenciesText(const JobSpec& spec) {
  std::vector<std::string> texts;
  for (const Dependency& dependency : spec.dependencies()) {
    texts.push_back(fmt::format("{} of job {}", Words(Dependency::Kind_Name(dependency.kind())),
                                dependency.job()));
  }
  return absl::StrJoin(texts, ", ");
}

std::string ProgressText(const Progress& progress, int64_t now_ms) {
  if (progress.step() == 0) return "";
  std::string text =
      fmt::format("step {} of {}, loss {}, {:.0f} tokens/s", progress.step(),
                  progress.total_steps(), LossText(progress.loss()), progress.tokens_per_second());
  const int64_t left = progress.total_steps() - progress.step();
  if (left > 0 && progress.seconds_per_step() > 0) {
    text += ", about " +
            FormatDuration(static_cast<int64_t>(1000 * progress.seconds_per_step() *
                                                static_cast<double>(left))) +
            " left";
  }
  return text + fmt::format(" (heard {} ago)", FormatSince(progress.heard_ms(), now_ms));
}

std::string AttemptText(const Attempt& attempt, int64_t now_ms) {
  std::string text = fmt::format("{} on {}, placed {}", attempt.token().attempt(),
                                 NodesText(attempt), FormatTime(attempt.placed_ms(), now_ms));
  if (attempt.running_ms() != 0) text += ", ran from " + FormatTime(attempt.running_ms(), now_ms);
  if (attempt.stop_reason() != STOP_REASON_UNSPECIFIED) {
    text += ", stopped: " + Words(StopReason_Name(attempt.stop_reason()));
  }
  if (attempt.ended_ms() != 0) {
    text += fmt::format(", ended {}: {}", FormatTime(attempt.ended_ms(), now_ms),
                        EndText(attempt.end()));
  }
  if (!attempt.slurm_job().empty()) text += ", Slurm job " + attempt.slurm_job();
  if (attempt.ended_ms() == 0 && !attempt.slurm_reason().empty()) {
    text += ", which waits there: " + attempt.slurm_reason();
  }
  return text;
}

}  // namespace

bool HasEnded(JobState state) {
  return state == SUCCEEDED || state == FAILED || state == CANCELLED;
}

std::string StateText(const Job& job) {
  std::string text = Words(JobState_Name(job.state()));
  if (job.held()) text += ", held";
  if (job.cancel_requested() && !HasEnded(job.state())) text += ", cancelled";
  return text;
}

absl::StatusOr<JobState> ParseState(const std::string& text) {
  JobState state;
  if (JobState_Parse(absl::AsciiStrToUpper(text), &state) && state != JOB_STATE_UNSPECIFIED) {
    return state;
  }
  std::vector<std::string> names;
  for (int i = PENDING; i <= CANCELLED; ++i) {
    names.push_back(absl::AsciiStrToLower(JobState_Name(static_cast<JobState>(i))));
  }
  return absl::InvalidArgumentError(
      fmt::format("found \"{}\", expected one of: {}", text, absl::StrJoin(names, ", ")));
}

int RanksOf(const JobSpec& spec) {
  int ranks = 0;
  for (const Role& role : spec.roles()) ranks += role.ranks();
  return ranks;
}

int GpusOf(const JobSpec& spec) {
  int gpus = 0;
  for (const Role& role : spec.roles()) gpus += role.ranks() * role.per_rank().gpus();
  return gpus;
}

std::string NodesText(const Attempt& attempt) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (const Placement& placement : attempt.placements()) {
    if (seen.insert(placement.node()).second && seen.size() <= 3) names.push_back(placement.node());
  }
  if (seen.size() > 3) names.push_back(fmt::format("and {} more", seen.size() - 3));
  return absl::StrJoin(names, " ");
}

std::string ResourcesText(const Resources& resources) {
  std::vector<std::string> parts;
  if (resources.gpus() != 0) parts.push_back(Counted(resources.gpus(), "GPU"));
  if (resources.cpu_millis() != 0) {
    parts.push_back(fmt::format("{:g} core{}", resources.cpu_millis() / 1000.0,
                                resources.cpu_millis() == 1000 ? "" : "s"));
  }
  if (resources.memory_bytes() != 0) {
    parts.push_back(FormatBytes(static_cast<uint64_t>(resources.memory_bytes())));
  }
  return parts.empty() ? "nothing" : absl::StrJoin(parts, ", ");
}

std::string WorkText(const JobSpec& spec) {
  if (spec.has_recipe()) return "a training (tanren-worker train)";
  return absl::StrJoin(spec.command().argv(), " ");
}

std::string LossText(double loss) {
  if (loss != 0 && std::abs(loss) < 0.01) return fmt::format("{:.2e}", loss);
  return fmt::format("{:.4g}", loss);
}

std::string EndText(const AttemptEnd& end) {
  std::string text = Words(AttemptEnd::Kind_Name(end.kind()));
  if (end.signal() != 0) {
    text += fmt::format(", signal {}", end.signal());
  } else if (end.exit_code() != 0) {
    text += fmt::format(", exit code {}", end.exit_code());
  }
  if (end.kind() != AttemptEnd::FINISHED) {
    if (!end.node().empty()) text += " on " + end.node();
    if (end.rank() >= 0 && !end.log_tail().empty()) text += fmt::format(", rank {}", end.rank());
  }
  if (!end.message().empty()) text += ": " + end.message();
  return text;
}

std::string ExplanationText(const Explanation& explanation) {
  std::vector<std::string> lines = {fmt::format(
      "{}: {}", Words(Explanation::Reason_Name(explanation.reason())), explanation.text())};
  if (!explanation.what_would_help().empty()) lines.push_back(explanation.what_would_help());
  return absl::StrJoin(lines, "\n");
}

std::string Describe(const Job& job, const std::optional<Progress>& progress, int64_t now_ms) {
  const JobSpec& spec = job.spec();
  Lines lines;
  lines.Add("job", fmt::format("{}  {}", job.id(), spec.name()));
  lines.Add("state", StateText(job) + (job.end_message().empty() ? "" : ": " + job.end_message()));
  if (job.held()) lines.Add("held", job.hold_reason());
  lines.Add("user", job.user() + (spec.project().empty() ? "" : ", project " + spec.project()));
  lines.Add("work", WorkText(spec));
  lines.Add("ranks", RolesText(spec));
  if (job.array() != 0)
    lines.Add("array", fmt::format("{}, index {}", job.array(), job.array_index()));
  if (spec.priority() != 0) lines.Add("priority", std::to_string(spec.priority()));
  if (spec.time_limit_ms() != 0) lines.Add("time limit", FormatDuration(spec.time_limit_ms()));
  lines.Add("after", DependenciesText(spec));
  lines.Add("folder", JobFolder(job.spec(), job.id()));
  lines.Add("submitted", FormatTime(job.submitted_ms(), now_ms));
  lines.Add("ended", FormatTime(job.ended_ms(), now_ms));
  if (progress) lines.Add("progress", ProgressText(*progress, now_ms));
  if (job.has_checkpoint()) {
    lines.Add("checkpoint",
              fmt::format("step {}, {}", job.checkpoint().step(), job.checkpoint().folder()));
  }
  if (job.not_before_ms() > now_ms && !HasEnded(job.state())) {
    lines.Add("tried again", "in " + FormatDuration(job.not_before_ms() - now_ms));
  }
  for (const Attempt& attempt : job.earlier_attempts()) {
    lines.Add("attempt", AttemptText(attempt, now_ms));
  }
  if (job.has_attempt()) lines.Add("attempt", AttemptText(job.attempt(), now_ms));
  if (job.state() == FAILED) {
    lines.AddBlock("The end of the failing rank's log:", job.attempt().end().log_tail());
  }
  return lines.text();
}

}  // namespace tanren::coordinator
