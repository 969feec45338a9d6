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
  std::vector<std::string> recipes;  // of submit
  std::string request_id;
  bool dry_run = false;
  bool wait = false;
  bool follow = false;
};

void AddOptions(CLI::App& command, Arguments& arguments) {
  AddJobOptions(command, arguments.job);
  command.add_option("--request-id", arguments.request_id,
                     "Names this submission: sent again with the same one (and the same recipes in "
                     "the same order) it makes no second job");
  command.add_flag("--dry-run", arguments.dry_run, "Only says what would happen");
  command.add_flag("--wait", arguments.wait, "Returns when the job has ended; 2 if it failed");
  command.add_flag("--follow", arguments.follow, "The same, and shows rank 0's log meanwhile");
}

// What goes to the coordinator at once, and becomes a job or an array, or nothing.
struct Submission {
  std::string recipe;  // "" unless there are several
  SubmitRequest request;
};

absl::StatusOr<SubmitRequest> MakeRequest(const Arguments& arguments, const std::string& recipe,
                                          const std::string& request_id) {
  JobOptions job = arguments.job;
  job.recipe = recipe;
  SubmitRequest request;
  TANREN_ASSIGN_OR_RETURN(*request.mutable_spec(),
                          MakeJobSpec(job, OwnEnvironment, std::filesystem::current_path()));
  request.set_request_id(request_id);
  request.set_dry_run(arguments.dry_run);
  return request;
}

// All of them, so that a recipe with an error is told before any is sent. Of several the n-th is
// called "<request id>.<n>".
absl::StatusOr<std::vector<Submission>> MakeSubmissions(const Arguments& arguments,
                                                        const std::string& request_id) {
  std::vector<Submission> submissions;
  if (arguments.recipes.size() < 2) {
    const std::string recipe = arguments.recipes.empty() ? "" : arguments.recipes.front();
    TANREN_ASSIGN_OR_RETURN(SubmitRequest request, MakeRequest(arguments, recipe, request_id));
    submissions.push_back({"", std::move(request)});
    return submissions;
  }
  for (const std::string& recipe : arguments.recipes) {
    const std::string id = fmt::format("{}.{}", request_id, submissions.size() + 1);
    TANREN_ASSIGN_OR_RETURN(SubmitRequest request, MakeRequest(arguments, recipe, id));
    submissions.push_back({recipe, std::move(request)});
  }
  return submissions;
}

void Print(const CommonOptions& common, const std::string& recipe, const SubmitReply& reply) {
  if (common.json) {
    fmt::print("{}\n", JsonLine(reply));
    return;
  }
  const std::string whose = recipe.empty() ? "" : ForTerminal(recipe) + ": ";
  if (reply.jobs_size() == 1) fmt::print("{}job {}\n", whose, reply.jobs(0));
  if (reply.jobs_size() > 1) {
    fmt::print("{}jobs {} to {}\n", whose, *reply.jobs().begin(), *reply.jobs().rbegin());
  }
  if (reply.has_explanation()) {
    fmt::print("{}{}\n", reply.jobs_size() == 0 ? whose : "",
               ForTerminal(ExplanationText(reply.explanation())));
  }
}

// The exit code: 2 unless all succeeded. `followed`: rank 0's log was shown as it came.
absl::StatusOr<int> WaitForEnd(const CommonOptions& common, Client& client,
                               const std::vector<uint64_t>& ids, bool followed) {
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
    const AttemptEnd& end = job.attempt().end();
    if (job.state() == FAILED && !end.log_tail().empty() &&
        !(followed && end.rank() == 0 && job.spec().roles_size() < 2)) {
      fmt::print(stderr, "{}\n", ForTerminal(end.log_tail()));
    }
  }
  return code;
}

struct Submitted {
  std::vector<uint64_t> jobs;
  // Of the first that wasn't taken. The others are: each stands for itself.
  absl::Status status;
};

// One after the other, each told as soon as it is durable. Ends early where the coordinator can't
// be reached any more.
Submitted SendAll(const CommonOptions& common, Client& client, const std::string& request_id,
                  const std::vector<Submission>& submissions) {
  Submitted submitted;
  for (const auto& [recipe, request] : submissions) {
    const absl::StatusOr<SubmitReply> reply =
        client.Call(client.jobs(), &Jobs::Stub::Submit, request);
    if (reply.ok()) {
      Print(common, recipe, *reply);
      submitted.jobs.insert(submitted.jobs.end(), reply->jobs().begin(), reply->jobs().end());
      continue;
    }
    const std::string whose = recipe.empty() ? "" : recipe + ": ";
    std::string message = whose + std::string(reply.status().message());
    const bool lost = ExitCodeOf(reply.status()) == kUnreachable;
    if (lost && client.reached() && !request.dry_run()) {
      message += fmt::format(
          "\ntanren: whether the job was taken isn't known; asked again with --request-id {} it "
          "is taken once",
          request_id);
    }
    if (submitted.status.ok()) {
      submitted.status = absl::Status(reply.status().code(), message);
    } else {
      fmt::print(stderr, "tanren: {}\n", ForTerminal(message));
    }
    if (lost) break;
  }
  std::fflush(stdout);
  return submitted;
}

absl::StatusOr<int> Submit(const CommonOptions& common, const Arguments& arguments) {
  const std::string request_id =
      arguments.request_id.empty() ? NewRequestId() : arguments.request_id;
  TANREN_ASSIGN_OR_RETURN(const std::vector<Submission> submissions,
                          MakeSubmissions(arguments, request_id));
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  const Submitted submitted = SendAll(common, *client, request_id, submissions);
  const bool waits = (arguments.wait || arguments.follow) && !submitted.jobs.empty() &&
                     ExitCodeOf(submitted.status) != kUnreachable;
  if (!waits) {
    TANREN_RETURN_IF_ERROR(submitted.status);
    return kDone;
  }
  const bool follows = arguments.follow && submitted.jobs.size() == 1;
  if (follows) {
    LogPrinter printer(stdout, /*raw=*/false, /*tell_apart=*/false);
    LogQuery query;
    query.job = submitted.jobs.front();
    query.follow = true;
    const absl::Status read = ReadLogs(*client, query, printer);
    // A job that never ran has no log.
    if (!read.ok() && !absl::IsNotFound(read)) return read;
  }
  TANREN_ASSIGN_OR_RETURN(const int code, WaitForEnd(common, *client, submitted.jobs, follows));
  TANREN_RETURN_IF_ERROR(submitted.status);
  return code;
}

}  // namespace

void AddSubmit(CLI::App& program, const CommonOptions& common, Action& action) {
  auto training = std::make_shared<Arguments>();
  CLI::App* submit = program.add_subcommand("submit", "Train a recipe as a job");
  submit
      ->add_option("recipe", training->recipes,
                   "A YAML file; several make a job each, with the same options")
      ->required();
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
