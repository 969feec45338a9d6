// What the agent's program is besides an agent: mpirun's remote shell, and what stands between
// mpirun and a rank. Neither needs gRPC or an agent's configuration.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_LAUNCH_COMMAND_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_LAUNCH_COMMAND_H_

#include <optional>

namespace tanren::coordinator {

// Runs the command if argv[1] is "remote-shell" or "rank", and returns the exit code. To be called
// first in main, before StartForkServer().
std::optional<int> RunLaunchCommand(int argc, char** argv);

// tanren-agent remote-shell --socket SOCKET --token TOKEN HOST COMMAND...: mpirun's plm_rsh_agent.
// Asks the agent that listens on SOCKET to have the command (orted and its arguments, quoted for a
// shell, which never gets them) started within the part of TOKEN on HOST; ends as that does.
int RunRemoteShell(int argc, char** argv);

// tanren-agent rank ROLE: started by mpirun or its orted, where TANREN_PART_SOCKET names the part's
// supervisor. Becomes the parent of the rank, whose program, environment and output the supervisor
// gives; passes signals on, and tells the supervisor how it ended.
int RunRank(int argc, char** argv);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_LAUNCH_COMMAND_H_
