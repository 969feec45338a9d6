#include "coordinator/store/backup.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "coordinator/store/history_file.h"
#include "coordinator/store/state_folder.h"
#include "runtime/base/error.h"
#include "runtime/base/fail_point.h"
#include "runtime/base/file.h"
#include "runtime/base/temporary_name.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

bool IsThere(const fs::path& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() != fs::file_type::not_found;
}

fs::path FolderOf(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

void Remove(const fs::path& path) {
  for (const char* suffix : {"", "-journal", "-wal", "-shm"}) {
    unlink((path.string() + suffix).c_str());
  }
}

absl::Status CopyPages(SqliteConnection& from, SqliteConnection& to) {
  sqlite3_backup* copy = sqlite3_backup_init(to.handle(), "main", from.handle(), "main");
  if (copy == nullptr) return to.StatusOf(sqlite3_extended_errcode(to.handle()), "copy");
  sqlite3_backup_step(copy, -1);
  return to.StatusOf(sqlite3_backup_finish(copy), "copy");
}

// Leaves a whole, checked, flushed file that needs no log beside it.
absl::Status FillCopy(SqliteConnection& history, const fs::path& path) {
  TANREN_ASSIGN_OR_RETURN(auto copy,
                          SqliteConnection::Open(path, SqliteConnection::Mode::kReadWrite));
  // It has no name until it is whole: flushing once at the end is enough.
  TANREN_RETURN_IF_ERROR(copy.Execute("PRAGMA synchronous = OFF"));
  TANREN_RETURN_IF_ERROR(CopyPages(history, copy));
  TANREN_ASSIGN_OR_RETURN(const std::string mode, copy.QueryText("PRAGMA journal_mode = DELETE"));
  if (mode != "delete") {
    return absl::InternalError(fmt::format("{}: its journal mode is {}", path.string(), mode));
  }
  TANREN_RETURN_IF_ERROR(MarkAsCopy(copy));
  TANREN_RETURN_IF_ERROR(QuickCheck(copy, 0));
  TANREN_RETURN_IF_ERROR(CheckSequence(copy).status());
  return CheckAllRows(copy);
}

// A file of SQLite that was in WAL mode says so in its header: its last commits may be in a log.
absl::Status CheckNeedsNoLog(const fs::path& backup) {
  const int file = open(backup.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return absl::ErrnoToStatus(errno, fmt::format("{}: can't open", backup.string()));
  char header[20] = {};
  const ssize_t size = read(file, header, sizeof(header));
  close(file);
  if (size != sizeof(header) || std::string_view(header, 15) != "SQLite format 3") {
    return absl::FailedPreconditionError(
        fmt::format("{}: not a backup of a history", backup.string()));
  }
  if (header[18] == 1) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("{}: a coordinator's own file, not a backup of `tanren admin backup`: its last "
                  "commits may stand in a log beside it; put both back under their own names",
                  backup.string()));
}

}  // namespace

absl::Status CopyHistory(SqliteConnection& history, const fs::path& path) {
  if (IsThere(path)) return absl::AlreadyExistsError(fmt::format("{}: exists", path.string()));
  const fs::path temporary = TemporaryNameOf(path);
  Remove(temporary);
  const int file = open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't create", temporary.string()));
  }
  close(file);
  const absl::Cleanup remove = [&] { Remove(temporary); };
  TANREN_RETURN_IF_ERROR(FillCopy(history, temporary));
  TANREN_RETURN_IF_ERROR(SyncToDisk(temporary));
  TANREN_RETURN_IF_ERROR(FailPoint("backup.before_name"));
  // Unlike rename, this doesn't replace what has come there meanwhile.
  if (link(temporary.c_str(), path.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't give it this name", path.string()));
  }
  return SyncToDisk(FolderOf(path));
}

absl::StatusOr<RestoredHistory> RestoreBackup(const fs::path& backup, const fs::path& folder) {
  TANREN_RETURN_IF_ERROR(CheckNeedsNoLog(backup));
  TANREN_ASSIGN_OR_RETURN(const LockFile lock, TakeStateFolder(folder));
  const fs::path path = folder / kHistoryName;
  for (const std::string& name : {path.string(), path.string() + "-wal"}) {
    if (IsThere(name)) {
      return absl::AlreadyExistsError(fmt::format(
          "{}: there is a history; move it away first, for it is never overwritten", name));
    }
  }
  TANREN_ASSIGN_OR_RETURN(auto file,
                          SqliteConnection::Open(backup, SqliteConnection::Mode::kReadOnly));
  TANREN_RETURN_IF_ERROR(CheckIsHistory(file));
  TANREN_RETURN_IF_ERROR(CopyHistory(file, path));
  RestoredHistory restored;
  TANREN_ASSIGN_OR_RETURN(restored.last_sequence, CheckSequence(file));
  TANREN_ASSIGN_OR_RETURN(
      SqliteStatement last,
      file.Prepare("SELECT sequence, event, checksum FROM events ORDER BY sequence DESC LIMIT 1"));
  TANREN_RETURN_IF_ERROR(ReadEvents(
      last, [&](const HistoryEvent& event) { restored.last_event_ms = event.time_ms(); }));
  return restored;
}

}  // namespace tanren::coordinator
