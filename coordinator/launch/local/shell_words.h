// Reads the one kind of shell text that mpirun gives its remote shell, without a shell.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_SHELL_WORDS_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_SHELL_WORDS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tanren::coordinator {

// Words apart by spaces: letters, digits and "%+,-./:=@^_", or text in '…' or "…" (without
// backslash, dollar, backquote or control characters), or both joined. kInvalidArgument, naming the
// place, for everything that a shell would take for more than that.
absl::StatusOr<std::vector<std::string>> ShellWords(std::string_view text);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_SHELL_WORDS_H_
