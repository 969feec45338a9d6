// admin: what an administrator does.
#include "coordinator/client/admin_commands.h"

#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_join.h"
#include "coordinator/client/commands.h"
#include "coordinator/client/exit_codes.h"
#include "coordinator/client/json_text.h"
#include "coordinator/client/node_text.h"
#include "coordinator/client/table.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"

namespace tanren::coordinator {
namespace {

using NodeMethod = grpc::Status (Admin::Stub::*)(grpc::ClientContext*, const NodeRequest&,
                                                 NodeReply*);

absl::StatusOr<int> ChangeNode(const CommonOptions& common, NodeMethod method,
                               NodeRequest request) {
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  if (request.request_id().empty()) request.set_request_id(NewRequestId());
  TANREN_ASSIGN_OR_RETURN(const NodeReply reply, client->Call(client->admin(), method, request));
  if (common.json) {
    fmt::print("{}\n", JsonLine(reply.node()));
  } else {
    fmt::print("node {}: {}\n", request.node(),
               reply.has_node() ? NodeStateText(reply.node(), WallMs()) : "removed");
  }
  return kDone;
}

void AddNodeChange(CLI::App& admin, const CommonOptions& common, Action& action,
                   const std::string& name, const std::string& description, NodeMethod method) {
  auto request = std::make_shared<NodeRequest>();
  CLI::App* command = admin.add_subcommand(name, description);
  command->add_option("node", *request->mutable_node(), "The machine's name")->required();
  command->add_option("--reason", *request->mutable_reason(), "Shown by `nodes`");
  command->add_option("--request-id", *request->mutable_request_id(), "Names this change");
  if (name == "drain") {
    command->add_flag_function(
        "--evict", [=](int64_t) { request->set_evict(true); },
        "What runs there is stopped, saves and goes on elsewhere");
  }
  command->callback([=, &common, &action] {
    action = [=, &common] { return ChangeNode(common, method, *request); };
  });
}

std::string LimitText(double limit) { return limit == 0 ? "" : fmt::format("{:g}", limit); }

void PrintQuotas(const CommonOptions& common, const QuotaReply& reply) {
  if (common.json) {
    fmt::print("{}\n", JsonLine(reply));
    return;
  }
  if (reply.quotas().empty()) {
    fmt::print("no quotas\n");
    return;
  }
  Table table({"SUBJECT", ">GPUS", ">CORES", ">RUNNING", ">WAITING", ">SHARE"});
  for (const Quota& quota : reply.quotas()) {
    table.Add({quota.subject(), LimitText(quota.gpus()), LimitText(quota.cpu_millis() / 1000.0),
               LimitText(quota.running_jobs()), LimitText(quota.pending_jobs()),
               fmt::format("{:g}", quota.share() == 0 ? 1 : quota.share())});
  }
  fmt::print("{}", table.Render(TerminalWidth()));
}

struct QuotaArguments {
  std::string subject;
  int gpus = 0;
  double cpus = 0;
  int running = 0;
  int waiting = 0;
  double share = 0;
};

absl::StatusOr<int> SetQuota(const CommonOptions& common, const QuotaArguments& arguments) {
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  if (arguments.subject.empty()) {
    TANREN_ASSIGN_OR_RETURN(
        const QuotaReply reply,
        client->Call(client->jobs(), &Jobs::Stub::ListQuotas, ListQuotasRequest()));
    PrintQuotas(common, reply);
    return kDone;
  }
  QuotaRequest request;
  request.set_request_id(NewRequestId());
  Quota& quota = *request.mutable_quota();
  quota.set_subject(arguments.subject);
  quota.set_gpus(arguments.gpus);
  quota.set_cpu_millis(static_cast<int32_t>(arguments.cpus * 1000));
  quota.set_running_jobs(arguments.running);
  quota.set_pending_jobs(arguments.waiting);
  quota.set_share(arguments.share);
  TANREN_ASSIGN_OR_RETURN(const QuotaReply reply,
                          client->Call(client->admin(), &Admin::Stub::SetQuota, request));
  PrintQuotas(common, reply);
  return kDone;
}

void AddQuota(CLI::App& admin, const CommonOptions& common, Action& action) {
  auto arguments = std::make_shared<QuotaArguments>();
  CLI::App* command =
      admin.add_subcommand("quota", "Show quotas, or set one whole: what isn't given has no limit");
  command->add_option("subject", arguments->subject, "user/NAME or project/NAME");
  command->add_option("--gpus", arguments->gpus, "At most so many at once");
  command->add_option("--cpus", arguments->cpus, "At most so many cores at once");
  command->add_option("--running", arguments->running, "At most so many jobs at once");
  command->add_option("--waiting", arguments->waiting, "Further submissions are refused");
  command->add_option("--share", arguments->share, "Weight in fair share; default: 1");
  command->callback(
      [=, &common, &action] { action = [=, &common] { return SetQuota(common, *arguments); }; });
}

absl::StatusOr<int> Backup(const CommonOptions& common, const std::string& path) {
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  BackupRequest request;
  request.set_path(std::filesystem::absolute(path));
  TANREN_ASSIGN_OR_RETURN(const BackupReply reply,
                          client->Call(client->admin(), &Admin::Stub::Backup, request));
  if (common.json) {
    fmt::print("{}\n", JsonLine(reply));
  } else {
    fmt::print("{}: {} bytes, all up to event {}\n", request.path(), reply.bytes(),
               reply.last_sequence());
  }
  return kDone;
}

void AddBackup(CLI::App& admin, const CommonOptions& common, Action& action) {
  auto path = std::make_shared<std::string>();
  CLI::App* command = admin.add_subcommand(
      "backup", "Copy the history to a new file on the coordinator's machine, while it works");
  command->add_option("path", *path, "A file that isn't there yet")->required();
  command->callback(
      [=, &common, &action] { action = [=, &common] { return Backup(common, *path); }; });
}

}  // namespace

void AddAdmin(CLI::App& program, const CommonOptions& common, Action& action) {
  CLI::App* admin = program.add_subcommand("admin", "What an administrator does");
  admin->require_subcommand(1);
  AddNodeChange(*admin, common, action, "drain", "Give a machine no more work",
                &Admin::Stub::Drain);
  AddNodeChange(*admin, common, action, "resume", "Give it work again", &Admin::Stub::Resume);
  AddNodeChange(*admin, common, action, "remove-node", "Forget a machine that is gone for good",
                &Admin::Stub::RemoveNode);
  AddQuota(*admin, common, action);
  AddBackup(*admin, common, action);
  AddAdminSecurity(*admin, common, action);
}

}  // namespace tanren::coordinator
