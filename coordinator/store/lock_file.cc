#include "coordinator/store/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/terminal.h"
#include "runtime/telemetry/process_identity.h"

namespace tanren::coordinator {
namespace {

std::string HolderOf(int descriptor) {
  char text[256];
  const ssize_t size = pread(descriptor, text, sizeof(text), 0);
  if (size <= 0) return "another process";
  std::string holder(text, static_cast<size_t>(size));
  if (holder.ends_with('\n')) holder.pop_back();
  return OnOneLine(holder);
}

}  // namespace

absl::StatusOr<LockFile> LockFile::Take(const std::filesystem::path& path) {
  LockFile lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (lock.descriptor_ < 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't open", path.string()));
  }
  if (flock(lock.descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return absl::ErrnoToStatus(errno, fmt::format("{}: can't lock", path.string()));
    }
    return absl::UnavailableError(fmt::format("{}: held by {}; only one may use this folder",
                                              path.string(), HolderOf(lock.descriptor_)));
  }
  const std::string holder =
      fmt::format("process {} on host {}\n", getpid(), telemetry::HostName());
  // Over what is there, so that a full disk has room for it. Where it has none the lock holds all
  // the same: who asks isn't told who has it.
  const bool written = pwrite(lock.descriptor_, holder.data(), holder.size(), 0) ==
                       static_cast<ssize_t>(holder.size());
  if (!written && errno != ENOSPC && errno != EDQUOT) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't write", path.string()));
  }
  if (ftruncate(lock.descriptor_, written ? static_cast<off_t>(holder.size()) : 0) != 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't write", path.string()));
  }
  return lock;
}

LockFile::LockFile(LockFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

LockFile& LockFile::operator=(LockFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

LockFile::~LockFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace tanren::coordinator
