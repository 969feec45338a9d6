#include "coordinator/launch/part_folder.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstdio>
#include <sstream>

#include "coordinator/state/cluster.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/temporary_name.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLongestFile = uint64_t{64} << 20;

template <typename Message>
absl::StatusOr<Message> ReadMessage(const fs::path& path) {
  TANREN_ASSIGN_OR_RETURN(const std::string content, ReadFile(path, kLongestFile));
  Message message;
  if (content.empty() || !message.ParseFromString(content)) {
    return absl::DataLossError(fmt::format("{}: isn't whole", path.string()));
  }
  return message;
}

struct flock WholeFile() {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

}  // namespace

PartFolder::PartFolder(const fs::path& state, const AttemptToken& token)
    : path_(state / "parts" / TokenText(token)) {}

absl::StatusOr<Descriptor> LockState(const fs::path& state) {
  const fs::path path = state / "lock";
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.is_open()) return ErrnoOf("can't open", path);
  if (flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
  return absl::FailedPreconditionError(
      fmt::format("{}: another agent runs with this state folder", state.string()));
}

absl::Status ReplaceFile(const fs::path& path, std::string_view content, unsigned mode) {
  const fs::path temporary = TemporaryNameOf(path);
  const Descriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!file.is_open()) return ErrnoOf("can't create", temporary);
  while (!content.empty()) {
    const ssize_t written = write(file.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const absl::Status status = ErrnoOf("can't write", temporary);
      unlink(temporary.c_str());
      return status;
    }
    content.remove_prefix(static_cast<size_t>(written));
  }
  if (rename(temporary.c_str(), path.c_str()) == 0) return absl::OkStatus();
  return ErrnoOf("can't replace", path);
}

absl::StatusOr<PartReport> ReadPartState(const PartFolder& folder) {
  return ReadMessage<PartReport>(folder.state());
}

absl::StatusOr<SupervisorSpec> ReadPartSpec(const PartFolder& folder) {
  return ReadMessage<SupervisorSpec>(folder.spec());
}

absl::StatusOr<PartLock> PartLock::Take(const PartFolder& folder) {
  Descriptor file(open(folder.supervisor().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!file.is_open()) return ErrnoOf("can't open", folder.supervisor());
  struct flock lock = WholeFile();
  if (fcntl(file.get(), F_SETLK, &lock) == 0) return PartLock(std::move(file));
  if (errno != EAGAIN && errno != EACCES) return ErrnoOf("can't lock", folder.supervisor());
  return absl::FailedPreconditionError(
      fmt::format("{}: another process holds it", folder.supervisor().string()));
}

bool PartLock::IsHeld(const PartFolder& folder) {
  const Descriptor file(open(folder.supervisor().c_str(), O_RDWR | O_CLOEXEC));
  if (!file.is_open()) return false;
  struct flock lock = WholeFile();
  return fcntl(file.get(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

absl::Status PartLock::Write(const PartProcesses& processes) {
  const std::string content =
      fmt::format("{} {} {} {}\n", processes.supervisor, processes.supervisor_start,
                  processes.first, processes.first_start);
  // (Not by a rename: the lock is the file's.)
  if (ftruncate(file_.get(), 0) == 0 && pwrite(file_.get(), content.data(), content.size(), 0) ==
                                            static_cast<ssize_t>(content.size())) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, "can't write the supervisor's file");
}

PartProcesses PartLock::processes() const {
  char content[256] = {};
  PartProcesses found;
  if (pread(file_.get(), content, sizeof(content) - 1, 0) <= 0) return found;
  std::istringstream words(content);
  words >> found.supervisor >> found.supervisor_start >> found.first >> found.first_start;
  return found;
}

}  // namespace tanren::coordinator
