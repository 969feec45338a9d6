// The store on disk: SQLite in WAL mode, flushed at each commit, in one file of a folder that no
// other process can hold at the same time.
//
// One connection does everything, and it alone moves the write-ahead log into the file, when it
// decides to: SQLite before 3.51 can lose commits when two connections do that at once. The file is
// locked exclusively, so that no other program (the sqlite3 shell) becomes a second one.
#ifndef TANREN_COORDINATOR_STORE_SQLITE_STORE_H_
#define TANREN_COORDINATOR_STORE_SQLITE_STORE_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/backup.h"
#include "coordinator/store/lock_file.h"
#include "coordinator/store/sqlite_connection.h"
#include "coordinator/store/store.h"

namespace tanren::coordinator {

// Fail points: store.between_statements (after each row of a commit), store.before_commit,
// store.after_commit, store.before_checkpoint, store.after_checkpoint.
class SqliteStore final : public Store {
 public:
  // The history in `folder` (history.db, history.db-wal, lock), which is made if it isn't there;
  // files have mode 0600. kUnavailable if another process holds it; kFailedPrecondition on a
  // network filesystem, in a folder that others may write in, or for a file of a later version;
  // kDataLoss for a damaged file. quick_check is given 3 s, which takes files of some hundred MB.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::filesystem::path& folder);
  // The same with the folder's lock (TakeStateFolder): who opens the store again after an error
  // keeps the lock meanwhile, so that nobody else comes in between.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::filesystem::path& folder,
                                                           std::shared_ptr<const LockFile> lock);
  ~SqliteStore() override;

  absl::Status Write(const Commit& commit) override;
  absl::StatusOr<std::vector<HistoryEvent>> Events(uint64_t first, int limit) override;
  absl::StatusOr<std::vector<Record>> Records() override;
  uint64_t last_sequence() const override { return last_sequence_; }
  bool needs_new_epoch() const override { return needs_new_epoch_; }
  absl::Status ForgetEvents(uint64_t first) override;
  // The copy is marked as one, so that it begins a new epoch wherever it is opened.
  absl::StatusOr<std::unique_ptr<BackupRun>> StartBackup(
      const std::filesystem::path& path) override;

 private:
  struct Statements {
    SqliteStatement begin, commit, rollback;
    SqliteStatement add_event, put_record, erase_record;
    SqliteStatement select_events;
  };

  SqliteStore(std::shared_ptr<const LockFile> lock, SqliteConnection connection);
  absl::Status Prepare();
  absl::Status Load();
  absl::Status AddRows(const Commit& commit);
  // Runs `change` as one transaction; an error makes the store refuse all that follows.
  template <typename Change>
  absl::Status Transact(Change change);
  // Moves the log into the file when it has grown.
  void CheckpointIfDue();

  std::shared_ptr<const LockFile> lock_;
  SqliteConnection connection_;
  Statements statements_;  // after the connection: they end before it
  uint64_t last_sequence_ = 0;
  bool needs_new_epoch_ = false;
  int log_pages_ = 0;
  std::weak_ptr<HistoryCopy> copy_;  // that is being made
  absl::Status broken_;              // why nothing more may be written
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STORE_SQLITE_STORE_H_
