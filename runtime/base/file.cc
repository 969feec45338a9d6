#include "runtime/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "runtime/base/descriptor.h"
#include "runtime/base/error.h"
#include "runtime/base/temporary_name.h"

namespace tanren {
namespace {

namespace fs = std::filesystem;

absl::Status WriteAndSync(const fs::path& path, std::string_view content, unsigned mode) {
  Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!file.is_open()) return ErrnoOf("can't create", path);
  while (!content.empty()) {
    const ssize_t written = write(file.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoOf("can't write", path);
    content.remove_prefix(static_cast<size_t>(written));
  }
  if (fsync(file.get()) != 0) return ErrnoOf("can't flush to disk", path);
  if (close(file.Release()) != 0) return ErrnoOf("can't close", path);
  return absl::OkStatus();
}

}  // namespace

absl::Status ErrnoOf(std::string_view action, const fs::path& path) {
  return absl::ErrnoToStatus(errno, fmt::format("{}: {}", path.string(), action));
}

absl::StatusOr<MappedFile> MappedFile::Open(const fs::path& path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return ErrnoOf("can't open", path);
  struct stat info;
  if (fstat(file.get(), &info) != 0) return ErrnoOf("can't stat", path);
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(fmt::format("{}: not a regular file", path.string()));
  }
  const auto size = static_cast<size_t>(info.st_size);
  if (size == 0) return MappedFile(path, nullptr, 0);
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) return ErrnoOf("can't map", path);
  return MappedFile(path, static_cast<const std::byte*>(data), size);
}

MappedFile::MappedFile(fs::path path, const std::byte* data, size_t size)
    : path_(std::move(path)), data_(data), size_(size) {}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

absl::StatusOr<std::string> ReadFile(const fs::path& path, uint64_t limit) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return ErrnoOf("can't open", path);
  std::string content;
  char buffer[1 << 16];
  while (true) {
    const ssize_t got = read(file.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoOf("can't read", path);
    if (got == 0) return content;
    content.append(buffer, static_cast<size_t>(got));
    if (content.size() > limit) {
      return absl::ResourceExhaustedError(
          fmt::format("{}: longer than the {} bytes allowed here", path.string(), limit));
    }
  }
}

absl::Status WriteFileAtomically(const fs::path& path, std::string_view content, unsigned mode) {
  const fs::path temporary = TemporaryNameOf(path);
  absl::Status status = WriteAndSync(temporary, content, mode);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoOf("can't rename to this name", path);
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return SyncToDisk(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

absl::Status SyncToDisk(const fs::path& path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return ErrnoOf("can't open", path);
  if (fsync(file.get()) != 0) return ErrnoOf("can't flush to disk", path);
  return absl::OkStatus();
}

absl::Status MakeDirectories(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) {
    errno = error.value();
    return ErrnoOf("can't make the folder", path);
  }
  return absl::OkStatus();
}

}  // namespace tanren
