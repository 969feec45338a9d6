// cancel, hold, release, requeue: what is asked of a job that is there.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/client/commands.h"
#include "coordinator/client/exit_codes.h"
#include "coordinator/client/job_text.h"
#include "coordinator/client/json_text.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

using Method = grpc::Status (Jobs::Stub::*)(grpc::ClientContext*, const JobRequest&, JobReply*);

struct Arguments {
  std::vector<uint64_t> jobs;
  std::string reason;
  std::string request_id;
};

// With several jobs, each has a request id of its own, made from the given one.
absl::StatusOr<int> Change(const CommonOptions& common, Method method, const Arguments& arguments) {
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  const std::string id = arguments.request_id.empty() ? NewRequestId() : arguments.request_id;
  for (const uint64_t job : arguments.jobs) {
    JobRequest request;
    request.set_request_id(arguments.jobs.size() == 1 ? id : fmt::format("{}-{}", id, job));
    request.set_job(job);
    request.set_reason(arguments.reason);
    TANREN_ASSIGN_OR_RETURN(const JobReply reply, client->Call(client->jobs(), method, request));
    if (common.json) {
      fmt::print("{}\n", JsonLine(reply.job()));
    } else {
      fmt::print("job {}: {}\n", reply.job().id(), StateText(reply.job()));
    }
  }
  return kDone;
}

void AddChange(CLI::App& program, const CommonOptions& common, Action& action,
               const std::string& name, const std::string& description, Method method) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand(name, description);
  command->add_option("job", arguments->jobs, "Numbers of jobs")->required();
  command->add_option("--reason", arguments->reason, "Shown by `show` and kept in the history");
  command->add_option("--request-id", arguments->request_id,
                      "Names this change: sent again with the same one it is made once");
  command->callback([=, &common, &action] {
    action = [=, &common] { return Change(common, method, *arguments); };
  });
}

}  // namespace

void AddChanges(CLI::App& program, const CommonOptions& common, Action& action) {
  AddChange(program, common, action, "cancel", "End jobs for good, without saving",
            &Jobs::Stub::Cancel);
  AddChange(program, common, action, "hold", "Keep waiting jobs from starting", &Jobs::Stub::Hold);
  AddChange(program, common, action, "release", "Let held jobs start", &Jobs::Stub::Release);
  AddChange(program, common, action, "requeue",
            "Let running jobs save and stop; they go on later from there", &Jobs::Stub::Requeue);
}

}  // namespace tanren::coordinator
