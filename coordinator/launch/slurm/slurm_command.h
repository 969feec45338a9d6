// Runs one of Slurm's client programs: by argument list, never through a shell, for a bounded time
// and with bounded output.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_COMMAND_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_COMMAND_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tanren::coordinator {

struct CommandResult {
  int exit_code = 0;  // 128 + n for signal n
  std::string output;
  std::string errors;  // what it wrote to standard error
};

// Waits for the program, which gets `environment` ("NAME=value") and nothing else, and an empty
// standard input. kNotFound if it can't be started; kDeadlineExceeded once `timeout_ms` are over:
// it is killed, but what it asked for may have been done; kResourceExhausted if it writes more than
// `limit` bytes. Any thread.
absl::StatusOr<CommandResult> RunCommand(const std::vector<std::string>& argv,
                                         const std::vector<std::string>& environment,
                                         int64_t timeout_ms, size_t limit = size_t{16} << 20);

// Of this process's environment, what Slurm's programs need: where they find their configuration,
// and not what would change what they are asked (SBATCH_…, SQUEUE_…).
std::vector<std::string> SlurmClientEnvironment();

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_COMMAND_H_
