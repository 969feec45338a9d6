// top: machines and jobs on one screen, again and again.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "coordinator/client/commands.h"
#include "coordinator/client/exit_codes.h"
#include "coordinator/client/job_list.h"
#include "coordinator/client/node_text.h"
#include "coordinator/client/quantities.h"
#include "coordinator/client/table.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"

namespace tanren::coordinator {
namespace {

struct Arguments {
  double every = 1;
  int count = 0;
};

absl::StatusOr<std::string> Screen(Client& client) {
  const int64_t now = WallMs();
  TANREN_ASSIGN_OR_RETURN(const StatusReply status,
                          client.Call(client.jobs(), &Jobs::Stub::Status, StatusRequest()));
  TANREN_ASSIGN_OR_RETURN(const ListNodesReply nodes,
                          client.Call(client.jobs(), &Jobs::Stub::ListNodes, ListNodesRequest()));
  ListJobsRequest request;
  for (const JobState state : {PENDING, PLACED, STARTING, RUNNING, STOPPING, UNKNOWN}) {
    request.add_states(state);
  }
  TANREN_ASSIGN_OR_RETURN(const ListJobsReply jobs, ListJobs(client, request, 200));
  return DescribeStatus(status, client.endpoint().address, now) + "\n" +
         RenderNodes(nodes, now, TerminalWidth()) + "\n" + RenderJobs(jobs, /*with_user=*/true);
}

absl::StatusOr<int> Top(const CommonOptions& common, const Arguments& arguments) {
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  for (int i = 0; arguments.count == 0 || i < arguments.count; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::duration<double>(arguments.every));
    TANREN_ASSIGN_OR_RETURN(const std::string screen, Screen(*client));
    // Home, the screen, and nothing below it: without a flicker.
    fmt::print("{}{}{}", terminal ? "\033[H" : "", screen, terminal ? "\033[J" : "\n");
    std::fflush(stdout);
  }
  return kDone;
}

}  // namespace

void AddTop(CLI::App& program, const CommonOptions& common, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand("top", "Machines and jobs, shown anew each second");
  command->add_option("--every", arguments->every, "Seconds between")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command->add_option("--count", arguments->count, "Ends after so many; default: never")
      ->check(CLI::PositiveNumber);
  command->callback(
      [=, &common, &action] { action = [=, &common] { return Top(common, *arguments); }; });
}

}  // namespace tanren::coordinator
