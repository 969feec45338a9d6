// submit, run: a training or a program as a job.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "coordinator/client/commands.h"
#include "coordinator/client/exit_codes.h"
#include "coordinator/client/job_options.h"
#include "coordinator/client/job_text.h"
#include "coordinator/client/job_wait.h"
#include "coordinator/client/json_text.h"
#include "coordinator/client/log_reader.h"
#include "coordinator/client/quantities.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

struct Arguments {
  JobOptions job;
  std::string request_id;
  bool dry_run = false;
  bool wait = false;
  bool follow = false;
};

void AddOptions(CLI::App& command, Arguments& arguments) {
  AddJobOptions(command, arguments.job);
  command.add_option("--request-id", arguments.request_id,
                     "Names this submission: sent again with the same one it makes no second job");
  command.add_flag("--dry-run", arguments.dry_run, "Only says what would happen");
  command.add_flag("--wait", arguments.wait, "Returns when the job has ended; 2 if it failed");
  command.add_flag("--follow", arguments.follow, "The same, and shows rank 0's log meanwhile");
}

void Print(const CommonOptions& common, const SubmitReply& reply) {
  if (common.json) {
    fmt::print("{}\n", JsonLine(reply));
    return;
  }
  const std::string why = ForTerminal(ExplanationText(reply.explanation(), WallMs()));
  if (reply.jobs_size() == 1) fmt::print("job {}\n", reply.jobs(0));
  if (reply.jobs_size() > 1) {
    fmt::print("jobs {} to {}\n", *reply.jobs().begin(), *reply.jobs().rbegin());
  }
  if (reply.has_explanation()) fmt::print("{}\n", why);
}

// The exit code: 2 unless all succeeded.
absl::StatusOr<int> WaitForEnd(const CommonOptions& common, Client& client,
                               const std::vector<uint64_t>& ids) {
  TANREN_ASSIGN_OR_RETURN(const std::vector<Job> jobs, WaitForJobs(client, ids));
  int code = kDone;
  for (const Job& job : jobs) {
    if (job.state() != SUCCEEDED) code = kJobFailed;
    if (common.json) {
      fmt::print("{}\n", JsonLine(job));
    } else {
      const std::string why = job.end_message().empty() ? "" : ": " + job.end_message();
      fmt::print("job {}: {}{}\n", job.id(), StateText(job), ForTerminal(why));
    }
    if (job.state() == FAILED && !job.attempt().end().log_tail().empty()) {
      fmt::print(stderr, "{}\n", ForTerminal(job.attempt().end().log_tail()));
    }
  }
  return code;
}

absl::StatusOr<int> Submit(const CommonOptions& common, const Arguments& arguments) {
  SubmitRequest request;
  TANREN_ASSIGN_OR_RETURN(*request.mutable_spec(), MakeJobSpec(arguments.job, OwnEnvironment,
                                                               std::filesystem::current_path()));
  request.set_request_id(arguments.request_id.empty() ? NewRequestId() : arguments.request_id);
  request.set_dry_run(arguments.dry_run);
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  const absl::StatusOr<SubmitReply> reply =
      client->Call(client->jobs(), &Jobs::Stub::Submit, request);
  if (!reply.ok()) {
    const bool sent = client->reached() && !arguments.dry_run;
    if (ExitCodeOf(reply.status()) != kUnreachable || !sent) return reply.status();
    return absl::Status(
        reply.status().code(),
        fmt::format("{}\ntanren: whether the job was taken isn't known; asked again "
                    "with --request-id {} it is taken once",
                    std::string(reply.status().message()), request.request_id()));
  }
  Print(common, *reply);
  std::fflush(stdout);
  if (arguments.dry_run || !(arguments.wait || arguments.follow)) return kDone;
  if (arguments.follow && reply->jobs_size() == 1) {
    LogPrinter printer(stdout, /*raw=*/false, /*tell_apart=*/false);
    LogQuery query;
    query.job = reply->jobs(0);
    query.follow = true;
    const absl::Status read = ReadLogs(*client, query, printer);
    // A job that never ran has no log.
    if (!read.ok() && !absl::IsNotFound(read)) return read;
  }
  return WaitForEnd(common, *client, {reply->jobs().begin(), reply->jobs().end()});
}

}  // namespace

void AddSubmit(CLI::App& program, const CommonOptions& common, Action& action) {
  auto training = std::make_shared<Arguments>();
  CLI::App* submit = program.add_subcommand("submit", "Train a recipe as a job");
  submit->add_option("recipe", training->job.recipe, "A YAML file")->required();
  submit->add_option("--set", training->job.settings,
                     "Overrides a setting of the recipe, e.g. optimizer.learning_rate=1e-4");
  AddOptions(*submit, *training);
  submit->callback(
      [=, &common, &action] { action = [=, &common] { return Submit(common, *training); }; });

  auto program_job = std::make_shared<Arguments>();
  CLI::App* run =
      program.add_subcommand("run", "Run a program as a job: run … -- PROGRAM ARGUMENTS");
  run->add_option("program", program_job->job.argv, "The program and its arguments, behind --")
      ->required();
  AddOptions(*run, *program_job);
  run->callback(
      [=, &common, &action] { action = [=, &common] { return Submit(common, *program_job); }; });
}

}  // namespace tanren::coordinator
