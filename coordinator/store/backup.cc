#include "coordinator/store/backup.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>

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

// Leaves a whole, checked file that needs no log beside it; the last event's number.
absl::StatusOr<uint64_t> Complete(SqliteConnection& copy) {
  TANREN_ASSIGN_OR_RETURN(const std::string mode, copy.QueryText("PRAGMA journal_mode = DELETE"));
  if (mode != "delete") {
    return absl::InternalError(
        fmt::format("{}: its journal mode is {}", copy.path().string(), mode));
  }
  TANREN_RETURN_IF_ERROR(MarkAsCopy(copy));
  TANREN_RETURN_IF_ERROR(QuickCheck(copy, 0));
  TANREN_RETURN_IF_ERROR(CheckAllRows(copy));
  return CheckSequence(copy);
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

absl::StatusOr<std::unique_ptr<HistoryCopy>> HistoryCopy::Start(SqliteConnection& history,
                                                                const fs::path& path) {
  if (IsThere(path)) return absl::AlreadyExistsError(fmt::format("{}: exists", path.string()));
  std::unique_ptr<HistoryCopy> copy(new HistoryCopy(path, TemporaryNameOf(path)));
  Remove(copy->temporary_);
  const int file =
      open(copy->temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't create", copy->temporary_.string()));
  }
  close(file);
  TANREN_ASSIGN_OR_RETURN(
      copy->copy_, SqliteConnection::Open(copy->temporary_, SqliteConnection::Mode::kReadWrite));
  // It has no name until it is whole: flushing once at the end is enough.
  TANREN_RETURN_IF_ERROR(copy->copy_->Execute("PRAGMA synchronous = OFF"));
  sqlite3* handle = copy->copy_->handle();
  copy->pages_ = sqlite3_backup_init(handle, "main", history.handle(), "main");
  if (copy->pages_ == nullptr) {
    return copy->copy_->StatusOf(sqlite3_extended_errcode(handle), "copy");
  }
  return copy;
}

HistoryCopy::~HistoryCopy() {
  Abandon();
  copy_.reset();
  Remove(temporary_);
}

void HistoryCopy::Abandon() {
  if (pages_ != nullptr) sqlite3_backup_finish(std::exchange(pages_, nullptr));
}

absl::StatusOr<bool> HistoryCopy::Step(int64_t limit_ms) {
  if (is_copied_) return true;
  if (pages_ == nullptr) {
    return absl::UnavailableError(
        fmt::format("{}: the store was closed before all was copied", path_.string()));
  }
  constexpr int kPagesAtOnce = 256;  // 1 MB
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
  int code = SQLITE_OK;
  while (code == SQLITE_OK && std::chrono::steady_clock::now() < end) {
    code = sqlite3_backup_step(pages_, kPagesAtOnce);
  }
  if (code == SQLITE_OK) return false;
  const int finished = sqlite3_backup_finish(std::exchange(pages_, nullptr));
  TANREN_RETURN_IF_ERROR(copy_->StatusOf(code, "copy"));
  TANREN_RETURN_IF_ERROR(copy_->StatusOf(finished, "copy"));
  is_copied_ = true;
  return true;
}

absl::StatusOr<uint64_t> HistoryCopy::Finish() {
  if (!is_copied_) {
    return absl::FailedPreconditionError(fmt::format("{}: not all is copied", path_.string()));
  }
  TANREN_ASSIGN_OR_RETURN(const uint64_t last_sequence, Complete(*copy_));
  copy_.reset();
  TANREN_RETURN_IF_ERROR(SyncToDisk(temporary_));
  TANREN_RETURN_IF_ERROR(FailPoint("backup.before_name"));
  // Unlike rename, this doesn't replace what has come there meanwhile.
  if (link(temporary_.c_str(), path_.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't give it this name", path_.string()));
  }
  TANREN_RETURN_IF_ERROR(SyncToDisk(FolderOf(path_)));
  return last_sequence;
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
  TANREN_ASSIGN_OR_RETURN(const auto copy, HistoryCopy::Start(file, path));
  for (bool is_copied = false; !is_copied;) {
    TANREN_ASSIGN_OR_RETURN(is_copied, copy->Step(1000));
  }
  RestoredHistory restored;
  TANREN_ASSIGN_OR_RETURN(restored.last_sequence, copy->Finish());
  TANREN_ASSIGN_OR_RETURN(
      SqliteStatement last,
      file.Prepare("SELECT sequence, event, checksum FROM events ORDER BY sequence DESC LIMIT 1"));
  TANREN_RETURN_IF_ERROR(ReadEvents(
      last, [&](const HistoryEvent& event) { restored.last_event_ms = event.time_ms(); }));
  return restored;
}

}  // namespace tanren::coordinator
