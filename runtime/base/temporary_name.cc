#include "runtime/base/temporary_name.h"

#include <unistd.h>

#include "fmt/format.h"

namespace tanren {

std::filesystem::path TemporaryNameOf(const std::filesystem::path& path) {
  return fmt::format("{}{}{}", path.string(), kTemporaryMark, getpid());
}

}  // namespace tanren
