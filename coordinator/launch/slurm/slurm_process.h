// Child processes of a batch job, started by fork in a process that may have threads.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_PROCESS_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_PROCESS_H_

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tanren::coordinator {

struct ChildProgram {
  std::vector<std::string> argv;         // the program by its path, or to be found in PATH
  std::vector<std::string> environment;  // "NAME=value": all that it gets
  std::filesystem::path folder;          // where it begins
  int output = -1;                       // a descriptor; -1: this process's own
};

// Starts it in a process group of its own, with default signals; it is killed when the calling
// thread ends. The error names the step that failed, in the child too.
absl::StatusOr<pid_t> StartChild(const ChildProgram& program);

// The way a shell tells it: 128 + n for signal n.
int ShellCode(int wait_status);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_PROCESS_H_
