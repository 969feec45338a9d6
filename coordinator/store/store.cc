#include "coordinator/store/store.h"

#include <limits>

#include "runtime/base/error.h"

namespace tanren::coordinator {

absl::Status Store::Backup(const std::filesystem::path& path) {
  TANREN_ASSIGN_OR_RETURN(const std::unique_ptr<BackupRun> run, StartBackup(path));
  constexpr int64_t kForEver = std::numeric_limits<int32_t>::max();
  while (true) {
    TANREN_ASSIGN_OR_RETURN(const bool is_copied, run->Step(kForEver));
    if (is_copied) return run->Finish().status();
  }
}

}  // namespace tanren::coordinator
