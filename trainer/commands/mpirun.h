// `--ranks N`: the worker starts mpirun itself.
#ifndef TANREN_TRAINER_COMMANDS_MPIRUN_H_
#define TANREN_TRAINER_COMMANDS_MPIRUN_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tanren::trainer {

// The command, without the program that it runs, for `ranks` ranks on this host. Ranks aren't bound
// to cores; more ranks than cores are allowed.
std::vector<std::string> MpirunCommand(int ranks, bool as_root);

// Becomes mpirun with this process's own command line, without its --ranks. Returns only if that
// failed. Does nothing and returns OK where `ranks` is 1 or less, or this process is a rank
// already.
absl::Status BecomeRanks(int ranks);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_COMMANDS_MPIRUN_H_
