// At most one process holds a folder.
#ifndef TANREN_COORDINATOR_STORE_LOCK_FILE_H_
#define TANREN_COORDINATOR_STORE_LOCK_FILE_H_

#include <filesystem>

#include "absl/status/statusor.h"

namespace tanren::coordinator {

// Held while the object lives; the kernel lets go when the process ends, however it ends. The file
// stays, and says who held it last. A program that is executed doesn't inherit it; a process that
// is forked and goes on without exec does. Movable, not copyable.
class LockFile {
 public:
  // kUnavailable, naming the process and host that hold it, if another does (also another object of
  // this process). The file is made with mode 0600.
  static absl::StatusOr<LockFile> Take(const std::filesystem::path& path);

  LockFile(LockFile&& other) noexcept;
  LockFile& operator=(LockFile&& other) noexcept;
  ~LockFile();

 private:
  explicit LockFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STORE_LOCK_FILE_H_
