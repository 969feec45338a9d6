// Commands that tanren-worker carries out: `tanren train` is `tanren-worker train`.
#ifndef TANREN_COORDINATOR_CLIENT_WORKER_COMMANDS_H_
#define TANREN_COORDINATOR_CLIENT_WORKER_COMMANDS_H_

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"

namespace tanren::coordinator {

bool IsWorkerCommand(const std::string& name);

// For people: which these are.
std::string WorkerCommandsHelp();

// Becomes tanren-worker with the same arguments; returns an exit code only if that fails.
int BecomeWorker(int argc, char** argv);

// A program of ours: beside this one, else in PATH. kNotFound says where it was looked for.
absl::StatusOr<std::filesystem::path> FindSibling(const std::string& name);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_WORKER_COMMANDS_H_
