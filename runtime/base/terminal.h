// Who watches what this process writes, and what may be shown to them.
#ifndef TANREN_RUNTIME_BASE_TERMINAL_H_
#define TANREN_RUNTIME_BASE_TERMINAL_H_

#include <string>
#include <string_view>

namespace tanren {

// Whether a person sees `descriptor` (1 or 2) on a terminal. A rank's own descriptors don't tell:
// mpirun gives it a pseudo-terminal or a pipe, and passes on what comes. There mpirun's descriptor
// of the same number counts; ranks on other hosts are seen by nobody.
bool SeenOnTerminal(int descriptor);

// Text from data or a model, with control characters other than newline and tab as \xNN: they could
// command the terminal.
std::string ForTerminal(std::string_view text);

// The same on one line: a newline is shown as ⏎.
std::string OnOneLine(std::string_view text);

}  // namespace tanren

#endif  // TANREN_RUNTIME_BASE_TERMINAL_H_
