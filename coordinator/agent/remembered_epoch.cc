#include "coordinator/agent/remembered_epoch.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {

absl::StatusOr<uint64_t> RememberedEpoch(const std::filesystem::path& state) {
  const std::filesystem::path file = state / "epoch";
  const absl::StatusOr<std::string> text = ReadFile(file, 4096);
  if (absl::IsNotFound(text.status())) return 0;
  TANREN_RETURN_IF_ERROR(text.status());
  uint64_t epoch = 0;
  const std::string number(absl::StripAsciiWhitespace(*text));
  if (!absl::SimpleAtoi(number, &epoch)) {
    return absl::DataLossError(
        fmt::format("{}: \"{}\" stands there, expected the number of the last epoch that this "
                    "agent obeyed; remove the file if it is nothing of yours",
                    file.string(), OnOneLine(number.substr(0, 100))));
  }
  return epoch;
}

absl::Status RememberEpoch(const std::filesystem::path& state, uint64_t epoch) {
  return WriteFileAtomically(state / "epoch", fmt::format("{}\n", epoch));
}

}  // namespace tanren::coordinator
