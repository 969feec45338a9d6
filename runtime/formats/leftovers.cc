#include "runtime/formats/leftovers.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/temporary_name.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;

// The process whose temporary file of `path` has this name.
std::optional<pid_t> WriterOf(const std::string& name, const fs::path& path) {
  const std::string prefix = path.filename().string() + kTemporaryMark;
  if (!name.starts_with(prefix)) return std::nullopt;
  pid_t process = 0;
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + prefix.size(), end, process);
  if (parsed.ec != std::errc() || parsed.ptr != end || process <= 0) return std::nullopt;
  return process;
}

bool IsGone(pid_t process) { return kill(process, 0) != 0 && errno == ESRCH; }

}  // namespace

WriterMark::WriterMark(const fs::path& temporary)
    : descriptor_(open(temporary.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (descriptor_ >= 0) flock(descriptor_, LOCK_EX | LOCK_NB);
}

WriterMark::WriterMark(WriterMark&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

WriterMark& WriterMark::operator=(WriterMark&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

WriterMark::~WriterMark() {
  if (descriptor_ >= 0) close(descriptor_);
}

void RemoveLeftovers(const fs::path& path) {
  std::vector<fs::path> left;
  std::error_code error;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::optional<pid_t> writer = WriterOf(entry->path().filename().string(), path);
    if (writer && IsGone(*writer)) left.push_back(entry->path());
  }
  for (const fs::path& temporary : left) {
    // The process may be one of another host that shares the folder.
    const int descriptor = open(temporary.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0) continue;
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) fs::remove_all(temporary, error);
    close(descriptor);
  }
}

}  // namespace tanren::formats
