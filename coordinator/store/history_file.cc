#include "coordinator/store/history_file.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/base/terminal.h"
#include "runtime/telemetry/crc32c.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kApplicationId = 0x54414E52;  // "TANR"

using Clock = std::chrono::steady_clock;

int HasPassed(void* deadline) { return Clock::now() > *static_cast<Clock::time_point*>(deadline); }

}  // namespace

uint32_t EventChecksum(uint64_t sequence, std::string_view event) {
  return telemetry::Crc32c(fmt::format("{}:{}", sequence, event));
}

uint32_t RecordChecksum(RecordKind kind, std::string_view key, std::string_view value) {
  return telemetry::Crc32c(
      fmt::format("{}:{}:{}{}", static_cast<int>(kind), key.size(), key, value));
}

absl::Status CreateTables(SqliteConnection& file) {
  return file.Execute(fmt::format(
      "BEGIN IMMEDIATE;"
      "PRAGMA application_id = {};"
      "PRAGMA user_version = {};"
      "CREATE TABLE events (sequence INTEGER PRIMARY KEY, event BLOB NOT NULL,"
      " checksum INTEGER NOT NULL);"
      "CREATE TABLE records (kind INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,"
      " checksum INTEGER NOT NULL, PRIMARY KEY (kind, key));"
      "CREATE TABLE origin (is_copy INTEGER NOT NULL, inode INTEGER NOT NULL,"
      " born_ns INTEGER NOT NULL);"
      "INSERT INTO origin VALUES (1, 0, 0);"
      "COMMIT",
      kApplicationId, kHistoryVersion));
}

absl::Status CheckIsHistory(SqliteConnection& file) {
  TANREN_ASSIGN_OR_RETURN(const int64_t id, file.QueryInteger("PRAGMA application_id"));
  if (id != kApplicationId) {
    return absl::FailedPreconditionError(
        fmt::format("{}: not a history of tanren-coordinator", file.path().string()));
  }
  TANREN_ASSIGN_OR_RETURN(const int64_t version, file.QueryInteger("PRAGMA user_version"));
  if (version < 1 || version > kHistoryVersion) {
    return absl::FailedPreconditionError(
        fmt::format("{}: has version {}, and this program knows those up to {}: it was written by "
                    "a later one, which has to be used",
                    file.path().string(), version, kHistoryVersion));
  }
  return absl::OkStatus();
}

absl::Status QuickCheck(SqliteConnection& file, int64_t limit_ms) {
  Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(limit_ms);
  if (limit_ms > 0) sqlite3_progress_handler(file.handle(), 10'000, HasPassed, &deadline);
  const auto found = file.QueryText("PRAGMA quick_check(1)");
  sqlite3_progress_handler(file.handle(), 0, nullptr, nullptr);
  if (limit_ms > 0 && Clock::now() > deadline) {
    LogWarning("{}: not all of it was checked within {} ms; `tanren admin backup` checks its copy",
               file.path().string(), limit_ms);
    return absl::OkStatus();
  }
  TANREN_RETURN_IF_ERROR(found.status());
  if (*found == "ok") return absl::OkStatus();
  return absl::DataLossError(
      fmt::format("{}: damaged: {}; restore a backup with `tanren admin restore`",
                  file.path().string(), OnOneLine(*found)));
}

absl::StatusOr<uint64_t> CheckSequence(SqliteConnection& file) {
  TANREN_ASSIGN_OR_RETURN(const int64_t count, file.QueryInteger("SELECT COUNT(*) FROM events"));
  if (count == 0) return 0;
  TANREN_ASSIGN_OR_RETURN(const int64_t first,
                          file.QueryInteger("SELECT MIN(sequence) FROM events"));
  TANREN_ASSIGN_OR_RETURN(const int64_t last,
                          file.QueryInteger("SELECT MAX(sequence) FROM events"));
  if (first < 1 || last - first + 1 != count) {
    return absl::DataLossError(fmt::format("{}: table events: {} rows for the numbers {} to {}",
                                           file.path().string(), count, first, last));
  }
  return static_cast<uint64_t>(last);
}

absl::Status CheckAllRows(SqliteConnection& file) {
  TANREN_ASSIGN_OR_RETURN(
      SqliteStatement events,
      file.Prepare("SELECT sequence, event, checksum FROM events ORDER BY sequence"));
  TANREN_RETURN_IF_ERROR(ReadEvents(events, [](HistoryEvent) {}));
  TANREN_ASSIGN_OR_RETURN(SqliteStatement records, file.Prepare(kSelectRecords));
  return ReadRecords(records, [](Record) {});
}

absl::Status ReadEvents(SqliteStatement& select, const std::function<void(HistoryEvent)>& visit) {
  uint64_t before = 0;
  while (true) {
    TANREN_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) return absl::OkStatus();
    const auto sequence = static_cast<uint64_t>(select.Integer(0));
    const std::string_view bytes = select.Bytes(1);
    HistoryEvent event;
    std::string problem;
    if (select.Integer(2) != EventChecksum(sequence, bytes)) {
      problem = "its checksum doesn't fit";
    } else if (!event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
               event.sequence() != sequence) {
      problem = "it isn't the event of that number";
    } else if (before != 0 && before + 1 != sequence) {
      problem = fmt::format("it follows row {}", before);
    }
    if (!problem.empty()) {
      select.Reset();
      return absl::DataLossError(
          fmt::format("history: table events, row {}: {}", sequence, problem));
    }
    before = sequence;
    visit(std::move(event));
  }
}

absl::Status ReadRecords(SqliteStatement& select, const std::function<void(Record)>& visit) {
  while (true) {
    TANREN_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) return absl::OkStatus();
    Record record{static_cast<RecordKind>(select.Integer(0)), std::string(select.Bytes(1)),
                  std::string(select.Bytes(2))};
    if (select.Integer(3) != RecordChecksum(record.kind, record.key, record.value)) {
      select.Reset();
      return absl::DataLossError(
          fmt::format("history: table records, row (kind {}, key \"{}\"): its checksum doesn't fit",
                      static_cast<int>(record.kind), OnOneLine(record.key)));
    }
    visit(std::move(record));
  }
}

absl::StatusOr<FileIdentity> IdentityOf(const std::filesystem::path& path) {
  struct statx info;
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_BTIME, &info) != 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't stat", path.string()));
  }
  FileIdentity identity{.inode = static_cast<int64_t>(info.stx_ino)};
  if ((info.stx_mask & STATX_BTIME) != 0) {
    identity.born_ns = info.stx_btime.tv_sec * 1'000'000'000 + info.stx_btime.tv_nsec;
  }
  return identity;
}

absl::StatusOr<bool> IsCopy(SqliteConnection& file) {
  TANREN_ASSIGN_OR_RETURN(SqliteStatement select,
                          file.Prepare("SELECT is_copy, inode, born_ns FROM origin"));
  TANREN_ASSIGN_OR_RETURN(const bool row, select.Step());
  if (!row) {
    return absl::DataLossError(
        fmt::format("{}: table origin: its row is missing", file.path().string()));
  }
  TANREN_ASSIGN_OR_RETURN(const FileIdentity identity, IdentityOf(file.path()));
  return select.Integer(0) != 0 ||
         !(identity == FileIdentity{select.Integer(1), select.Integer(2)});
}

absl::Status MarkAsCopy(SqliteConnection& file) {
  return file.Execute("UPDATE origin SET is_copy = 1");
}

absl::Status MarkAsOriginal(SqliteConnection& file) {
  TANREN_ASSIGN_OR_RETURN(const FileIdentity identity, IdentityOf(file.path()));
  return file.Execute(fmt::format("UPDATE origin SET is_copy = 0, inode = {}, born_ns = {}",
                                  identity.inode, identity.born_ns));
}

}  // namespace tanren::coordinator
