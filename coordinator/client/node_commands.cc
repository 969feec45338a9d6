// nodes, status: the machines, and the coordinator itself.
#include <string>

#include "coordinator/client/commands.h"
#include "coordinator/client/exit_codes.h"
#include "coordinator/client/json_text.h"
#include "coordinator/client/node_text.h"
#include "coordinator/client/quantities.h"
#include "coordinator/client/table.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"

namespace tanren::coordinator {
namespace {

absl::StatusOr<int> Nodes(const CommonOptions& common) {
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  TANREN_ASSIGN_OR_RETURN(const ListNodesReply reply,
                          client->Call(client->jobs(), &Jobs::Stub::ListNodes, ListNodesRequest()));
  if (common.json) {
    fmt::print("{}\n", JsonLine(reply));
  } else if (reply.nodes().empty()) {
    fmt::print("no machines: start tanren-agent on one\n");
  } else {
    fmt::print("{}", RenderNodes(reply, WallMs(), TerminalWidth()));
  }
  return kDone;
}

absl::StatusOr<int> Status(const CommonOptions& common) {
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  TANREN_ASSIGN_OR_RETURN(const StatusReply status,
                          client->Call(client->jobs(), &Jobs::Stub::Status, StatusRequest()));
  if (common.json) {
    fmt::print("{}\n", JsonLine(status));
  } else {
    fmt::print("{}", DescribeStatus(status, client->endpoint().address, WallMs()));
  }
  return status.accepting() ? kDone : kUnreachable;
}

}  // namespace

void AddNodes(CLI::App& program, const CommonOptions& common, Action& action) {
  program.add_subcommand("nodes", "The machines, what is taken and what is free")
      ->callback([&common, &action] { action = [&common] { return Nodes(common); }; });
  program.add_subcommand("status", "The coordinator itself; 3 if it takes no jobs")
      ->callback([&common, &action] { action = [&common] { return Status(common); }; });
}

}  // namespace tanren::coordinator
