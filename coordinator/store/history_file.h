// The file that a history is kept in: its tables, its version, its checks.
//
// A row carries a CRC-32C over its key and its value, so that a row that was damaged, or that
// stands where it doesn't belong, is told from a sound one.
#ifndef TANREN_COORDINATOR_STORE_HISTORY_FILE_H_
#define TANREN_COORDINATOR_STORE_HISTORY_FILE_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/sqlite_connection.h"
#include "coordinator/store/store.h"

namespace tanren::coordinator {

inline constexpr char kHistoryName[] = "history.db";
// What this program writes; a file of a later version is refused.
inline constexpr int64_t kHistoryVersion = 1;

uint32_t EventChecksum(uint64_t sequence, std::string_view event);
uint32_t RecordChecksum(RecordKind kind, std::string_view key, std::string_view value);

// Makes the tables in an empty file.
absl::Status CreateTables(SqliteConnection& file);

// kFailedPrecondition for a file of another program or of a later version.
absl::Status CheckIsHistory(SqliteConnection& file);
// SQLite's quick_check; kDataLoss says what it found. Gives up (OK, with a warning in the log)
// after `limit_ms`; 0: never.
absl::Status QuickCheck(SqliteConnection& file, int64_t limit_ms);
// kDataLoss if numbers are missing between the first and the last event. The last one's number.
absl::StatusOr<uint64_t> CheckSequence(SqliteConnection& file);
// Reads every row and compares its checksum; kDataLoss names the table and the row.
absl::Status CheckAllRows(SqliteConnection& file);

// Calls `visit` with each row (sequence, event, checksum) that `select` gives. kDataLoss names the
// row that is damaged, or that doesn't follow the one before it.
absl::Status ReadEvents(SqliteStatement& select, const std::function<void(HistoryEvent)>& visit);
// The same for rows (kind, key, value, checksum).
absl::Status ReadRecords(SqliteStatement& select, const std::function<void(Record)>& visit);

inline constexpr char kSelectRecords[] = "SELECT kind, key, value, checksum FROM records";

// What tells this file from a copy of it: its number on the disk and when it was born, as far as
// the filesystem knows.
struct FileIdentity {
  int64_t inode = 0;
  int64_t born_ns = 0;
  bool operator==(const FileIdentity&) const = default;
};
absl::StatusOr<FileIdentity> IdentityOf(const std::filesystem::path& path);

// Whether the file is a copy of the past: it was marked so, or it isn't the file it was written as.
absl::StatusOr<bool> IsCopy(SqliteConnection& file);
// Within the transaction that the caller has begun, if any.
absl::Status MarkAsCopy(SqliteConnection& file);
absl::Status MarkAsOriginal(SqliteConnection& file);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STORE_HISTORY_FILE_H_
