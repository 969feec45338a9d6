// The commands of `tanren`: each adds itself to the program, and what it does to `action`.
#ifndef TANREN_COORDINATOR_CLIENT_COMMANDS_H_
#define TANREN_COORDINATOR_CLIENT_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/client/client.h"
#include "coordinator/client/endpoint.h"

namespace tanren::coordinator {

// What stands before or behind any command.
struct CommonOptions {
  EndpointOptions endpoint;
  Patience patience;
  bool json = false;

  absl::StatusOr<std::unique_ptr<Client>> Connect() const;
};

// Returns the exit code.
using Action = std::function<absl::StatusOr<int>()>;

void AddUp(CLI::App& program, const CommonOptions& common, Action& action);      // up, down
void AddSubmit(CLI::App& program, const CommonOptions& common, Action& action);  // submit, run
void AddJobs(CLI::App& program, const CommonOptions& common, Action& action);    // jobs, show
void AddLogs(CLI::App& program, const CommonOptions& common, Action& action);
void AddExplain(CLI::App& program, const CommonOptions& common, Action& action);
// cancel, hold, release, requeue
void AddChanges(CLI::App& program, const CommonOptions& common, Action& action);
void AddWatch(CLI::App& program, const CommonOptions& common, Action& action);
void AddTop(CLI::App& program, const CommonOptions& common, Action& action);
void AddNodes(CLI::App& program, const CommonOptions& common, Action& action);  // nodes, status
void AddAdmin(CLI::App& program, const CommonOptions& common, Action& action);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_COMMANDS_H_
