// Where tests stop a writer: at any operation on the disk.
#ifndef TANREN_PARALLEL_CHECKPOINT_DISK_HOOK_H_
#define TANREN_PARALLEL_CHECKPOINT_DISK_HOOK_H_

#include <filesystem>
#include <functional>
#include <string_view>

#include "absl/status/status.h"

namespace tanren::parallel {

// Called before each operation ("write", "rename", …); an error that it returns is taken for the
// operation's own, which then isn't made. Several ranks may be threads that call it at once.
using DiskHook =
    std::function<absl::Status(std::string_view operation, const std::filesystem::path& path)>;

// OK where there is no hook.
inline absl::Status BeforeDiskOperation(const DiskHook& hook, std::string_view operation,
                                        const std::filesystem::path& path) {
  return hook ? hook(operation, path) : absl::OkStatus();
}

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_CHECKPOINT_DISK_HOOK_H_
