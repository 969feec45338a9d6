// What is kept of a run that has stopped: <attempt>/hang/.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_HANG_REPORT_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_HANG_REPORT_H_

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/launch/account.h"

namespace tanren::coordinator {

// What each thread of the process waits in, as /proc tells; and its frames, by gdb where there is
// one. As text.
std::string StacksOf(pid_t process);

// Writes <node>.process-<id>.txt for each, and <node>.verdict.txt: what the newest flight records
// in <attempt>/flight say, where there are any. For a process of its own: stacks are read with this
// process's rights, then it becomes the user, whose folder it is.
absl::Status WriteHangReport(const std::filesystem::path& attempt, const std::string& node,
                             const std::vector<pid_t>& processes, const UserIds& user);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_HANG_REPORT_H_
