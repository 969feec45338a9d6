#include "runtime/base/terminal.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "fmt/format.h"
#include "runtime/base/file.h"

namespace tanren {
namespace {

// Scripts and tools may stand between mpirun and its rank.
constexpr int kMostAncestors = 8;

std::string NameOf(int process) {
  std::string name = ReadFile(fmt::format("/proc/{}/comm", process)).value_or("");
  return std::string(absl::StripSuffix(name, "\n"));
}

int ParentOf(int process) {
  // "1234 (name) S 1 …": a name may hold spaces and parentheses.
  const std::string stat = ReadFile(fmt::format("/proc/{}/stat", process)).value_or("");
  const size_t end = stat.rfind(") ");
  int parent = 0;
  if (end == std::string::npos || stat.size() < end + 5) return 0;
  const std::string rest = stat.substr(end + 4);
  return absl::SimpleAtoi(rest.substr(0, rest.find(' ')), &parent) ? parent : 0;
}

bool IsTerminalOf(int process, int descriptor) {
  std::error_code error;
  const std::string target =
      std::filesystem::read_symlink(fmt::format("/proc/{}/fd/{}", process, descriptor), error)
          .string();
  return !error && (absl::StartsWith(target, "/dev/pts/") || absl::StartsWith(target, "/dev/tty"));
}

}  // namespace

bool SeenOnTerminal(int descriptor) {
  if (std::getenv("OMPI_COMM_WORLD_RANK") == nullptr) return isatty(descriptor) != 0;
  int process = getppid();
  for (int i = 0; i < kMostAncestors && process > 1; ++i, process = ParentOf(process)) {
    const std::string name = NameOf(process);
    if (name == "mpirun" || name == "mpiexec" || name == "orterun" || name == "prterun") {
      return IsTerminalOf(process, descriptor);
    }
  }
  return false;
}

std::string ForTerminal(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool second_controls =  // U+0080 to U+009F, in two bytes
        byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (second_controls) {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[++i]));
    } else if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string OnOneLine(std::string_view text) {
  return absl::StrReplaceAll(ForTerminal(text), {{"\n", " ⏎ "}});
}

}  // namespace tanren
