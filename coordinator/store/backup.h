// Copies of a history: made while it is used, and put back where there is none.
#ifndef TANREN_COORDINATOR_STORE_BACKUP_H_
#define TANREN_COORDINATOR_STORE_BACKUP_H_

#include <cstdint>
#include <filesystem>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/sqlite_connection.h"

namespace tanren::coordinator {

// Writes what `history` holds to the new file `path`, mode 0600: under another name first, marked
// as a copy, checked (quick_check and every row's checksum), flushed, then named. kAlreadyExists.
absl::Status CopyHistory(SqliteConnection& history, const std::filesystem::path& path);

struct RestoredHistory {
  uint64_t last_sequence = 0;
  int64_t last_event_ms = 0;  // by the coordinator's clock
};

// Puts a backup into `folder` as its history, after checking all of it. The store that is opened
// there needs a new epoch. kAlreadyExists if the folder holds a history (nothing is ever
// overwritten), kUnavailable while a coordinator holds it, kDataLoss for a damaged backup,
// kFailedPrecondition for what isn't one; what TakeStateFolder refuses.
absl::StatusOr<RestoredHistory> RestoreBackup(const std::filesystem::path& backup,
                                              const std::filesystem::path& folder);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STORE_BACKUP_H_
