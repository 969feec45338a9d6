// Copies of a history: made while it is used, and put back where there is none.
#ifndef TANREN_COORDINATOR_STORE_BACKUP_H_
#define TANREN_COORDINATOR_STORE_BACKUP_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/sqlite_connection.h"

struct sqlite3_backup;

namespace tanren::coordinator {

// Copies `history` to a new file, mode 0600: under another name first, marked as a copy, checked
// (quick_check, numbers, every row's checksum), flushed, then named. Removes what it has written
// unless it came to that.
class HistoryCopy {
 public:
  // kAlreadyExists. `history` must live until all is copied, or Abandon.
  static absl::StatusOr<std::unique_ptr<HistoryCopy>> Start(SqliteConnection& history,
                                                            const std::filesystem::path& path);
  ~HistoryCopy();
  HistoryCopy(const HistoryCopy&) = delete;
  HistoryCopy& operator=(const HistoryCopy&) = delete;

  // As BackupRun's. What `history` commits between two steps is copied too.
  absl::StatusOr<bool> Step(int64_t limit_ms);
  absl::StatusOr<uint64_t> Finish();
  // `history` is about to close: further steps are kUnavailable.
  void Abandon();

 private:
  HistoryCopy(std::filesystem::path path, std::filesystem::path temporary)
      : path_(std::move(path)), temporary_(std::move(temporary)) {}

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::optional<SqliteConnection> copy_;
  sqlite3_backup* pages_ = nullptr;
  bool is_copied_ = false;
};

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
