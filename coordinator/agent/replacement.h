// An agent's program is upgraded without an end of the process: its file is replaced, and the
// process becomes the new program by exec. What it has started goes on and is adopted.
#ifndef TANREN_COORDINATOR_AGENT_REPLACEMENT_H_
#define TANREN_COORDINATOR_AGENT_REPLACEMENT_H_

#include "absl/status/status.h"

namespace tanren::coordinator {

// To be called in main: where this program's file is, and its arguments.
void RememberProgram(int argc, char** argv);

// Becomes what that file is now, with the same arguments; returns only if that fails. The new
// program is tried first (--version), so that a broken file costs nothing.
absl::Status ReplaceProcess();

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_AGENT_REPLACEMENT_H_
