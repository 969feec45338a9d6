// jobs, show, explain: what the coordinator knows of jobs.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/client/commands.h"
#include "coordinator/client/exit_codes.h"
#include "coordinator/client/job_list.h"
#include "coordinator/client/job_text.h"
#include "coordinator/client/json_text.h"
#include "coordinator/client/quantities.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

struct ListArguments {
  std::vector<std::string> states;
  std::string user;
  std::string project;
  bool all = false;
  int limit = 100;
};

absl::StatusOr<int> List(const CommonOptions& common, const ListArguments& arguments) {
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  ListJobsRequest request;
  for (const std::string& text : arguments.states) {
    TANREN_ASSIGN_OR_RETURN(const JobState state, ParseState(text));
    request.add_states(state);
  }
  request.set_project(arguments.project);
  request.set_user(arguments.user);
  request.set_newest_first(true);
  if (!arguments.all && arguments.user.empty()) {
    TANREN_ASSIGN_OR_RETURN(const HelloReply hello,
                            client->Call(client->jobs(), &Jobs::Stub::Hello, HelloRequest()));
    request.set_user(hello.user());
  }
  TANREN_ASSIGN_OR_RETURN(ListJobsReply reply, ListJobs(*client, request, arguments.limit));
  std::reverse(reply.mutable_jobs()->begin(), reply.mutable_jobs()->end());
  if (common.json) {
    fmt::print("{}\n", JsonLine(reply));
    return kDone;
  }
  if (reply.jobs().empty()) {
    fmt::print("no jobs{}\n", arguments.all ? "" : " of yours (--all shows everyone's)");
  } else {
    fmt::print("{}", RenderJobs(reply, arguments.all));
  }
  if (reply.more()) {
    fmt::print("… older ones: --limit {}\n", arguments.limit * 10);
  } else if (reply.forgotten_after_ms() != 0) {
    fmt::print("… jobs are forgotten {} after they ended\n",
               FormatDuration(reply.forgotten_after_ms()));
  }
  return kDone;
}

absl::StatusOr<int> Show(const CommonOptions& common, const std::vector<uint64_t>& jobs) {
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  for (const uint64_t id : jobs) {
    JobRequest request;
    request.set_job(id);
    TANREN_ASSIGN_OR_RETURN(const JobReply reply,
                            client->Call(client->jobs(), &Jobs::Stub::Get, request));
    if (common.json) {
      fmt::print("{}\n", JsonLine(reply.job()));
      continue;
    }
    std::optional<Progress> progress;
    if (!HasEnded(reply.job().state())) {
      ListJobsRequest one;
      one.set_after(id - 1);
      one.set_limit(1);
      TANREN_ASSIGN_OR_RETURN(const ListJobsReply list,
                              client->Call(client->jobs(), &Jobs::Stub::List, one));
      const auto found = list.progress().find(id);
      if (found != list.progress().end()) progress = found->second;
    }
    fmt::print("{}{}", id == jobs.front() ? "" : "\n", Describe(reply.job(), progress, WallMs()));
  }
  return kDone;
}

absl::StatusOr<int> ExplainJob(const CommonOptions& common, uint64_t job) {
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  JobRequest request;
  request.set_job(job);
  TANREN_ASSIGN_OR_RETURN(const Explanation why,
                          client->Call(client->jobs(), &Jobs::Stub::Explain, request));
  fmt::print("{}\n", common.json ? JsonLine(why) : ForTerminal(ExplanationText(why)));
  return kDone;
}

}  // namespace

void AddJobs(CLI::App& program, const CommonOptions& common, Action& action) {
  auto list = std::make_shared<ListArguments>();
  CLI::App* jobs = program.add_subcommand("jobs", "The newest jobs and how far they are");
  jobs->add_flag("-a,--all", list->all, "Everyone's, not only your own");
  jobs->add_option("--user", list->user, "Of this user");
  jobs->add_option("--project", list->project, "Of this project");
  jobs->add_option("--state", list->states, "Only these, for example running,pending")
      ->delimiter(',');
  jobs->add_option("--limit", list->limit, "At most so many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  jobs->callback([=, &common, &action] { action = [=, &common] { return List(common, *list); }; });

  auto ids = std::make_shared<std::vector<uint64_t>>();
  CLI::App* show = program.add_subcommand("show", "All there is to know of a job");
  show->add_option("job", *ids, "Numbers of jobs")->required();
  show->callback([=, &common, &action] { action = [=, &common] { return Show(common, *ids); }; });
}

void AddExplain(CLI::App& program, const CommonOptions& common, Action& action) {
  auto job = std::make_shared<uint64_t>();
  CLI::App* command =
      program.add_subcommand("explain", "Why a job is where it is, and what would change it");
  command->add_option("job", *job, "The job's number")->required();
  command->callback(
      [=, &common, &action] { action = [=, &common] { return ExplainJob(common, *job); }; });
}

}  // namespace tanren::coordinator
