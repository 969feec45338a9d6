// Processes of this machine, as /proc tells.
#ifndef TANREN_COORDINATOR_LAUNCH_PROCESS_TABLE_H_
#define TANREN_COORDINATOR_LAUNCH_PROCESS_TABLE_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace tanren::coordinator {

// A file of /proc, as far as it can be read: a process may end, or not be ours to look at.
std::string ProcText(const std::string& path);

// Those whose parent is `process`: of a subreaper (PR_SET_CHILD_SUBREAPER) its orphans too, and
// what has ended and wasn't waited for.
std::vector<pid_t> ChildrenOf(pid_t process);

// Children of `process`, their children, and so on; without itself.
std::vector<pid_t> DescendantsOf(pid_t process);

// Those in the PID namespace that `process` is in.
std::vector<pid_t> ProcessesInNamespaceOf(pid_t process);

// Those whose environment at their start had the line `variable` (NAME=value), as far as this
// process may see it.
std::vector<pid_t> ProcessesWithVariable(const std::string& variable);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_PROCESS_TABLE_H_
