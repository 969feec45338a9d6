// Files: whole or absent. Errors name the path.
#ifndef TANREN_RUNTIME_BASE_FILE_H_
#define TANREN_RUNTIME_BASE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tanren {

// A file mapped read-only into memory; pages are read as they are touched. Movable, not copyable;
// the span stays valid while the object lives.
class MappedFile {
 public:
  static absl::StatusOr<MappedFile> Open(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  MappedFile(std::filesystem::path path, const std::byte* data, size_t size);
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// What errno says of an action on `path`: "<path>: <action>: <its text>", with its code.
absl::Status ErrnoOf(std::string_view action, const std::filesystem::path& path);

// The whole file; kResourceExhausted if it is longer than `limit` bytes.
absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path,
                                     uint64_t limit = uint64_t{1} << 30);

// Replaces or creates `path`: written beside it, flushed to disk, renamed. After a crash at any
// point the old content or the new one is there, never a part. `mode` (less the umask) holds from
// the file's first moment: 0600 for a secret.
absl::Status WriteFileAtomically(const std::filesystem::path& path, std::string_view content,
                                 unsigned mode = 0644);

// Flushes a file's content, or a folder's list of names, to disk.
absl::Status SyncToDisk(const std::filesystem::path& path);

// Makes the folder and its parents; OK if it is there.
absl::Status MakeDirectories(const std::filesystem::path& path);

}  // namespace tanren

#endif  // TANREN_RUNTIME_BASE_FILE_H_
