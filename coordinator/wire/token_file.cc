#include "coordinator/wire/token_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tanren::coordinator {
namespace {

constexpr uint64_t kLongestToken = 4096;

}  // namespace

absl::StatusOr<std::string> ReadToken(const std::filesystem::path& file) {
  struct stat found = {};
  if (stat(file.c_str(), &found) != 0) {
    const std::string problem = fmt::format("{}: {}", file.string(), strerror(errno));
    if (errno == ENOENT) return absl::NotFoundError(problem);
    return absl::PermissionDeniedError(problem);
  }
  if ((found.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(
        fmt::format("{}: others may read this token: chmod 600 it, and have a new one made if they "
                    "have seen it",
                    file.string()));
  }
  TANREN_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kLongestToken));
  std::string token(absl::StripAsciiWhitespace(text));
  for (const char c : token) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError(fmt::format("{}: holds no token", file.string()));
    }
  }
  if (token.empty()) return absl::InvalidArgumentError(fmt::format("{}: is empty", file.string()));
  return token;
}

}  // namespace tanren::coordinator
