#include "coordinator/store/sqlite_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "coordinator/store/commit_check.h"
#include "coordinator/store/history_file.h"
#include "coordinator/store/state_folder.h"
#include "runtime/base/error.h"
#include "runtime/base/fail_point.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

// 16 MB: rare enough not to be felt, small enough that a start reads the log in no time.
constexpr int kCheckpointPages = 4000;
constexpr int64_t kQuickCheckMs = 3000;

// An empty file, private from its first moment, or the one that is there.
absl::Status MakePrivateFile(const fs::path& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file >= 0) {
    close(file);
    return SyncToDisk(path.parent_path());
  }
  if (errno != EEXIST) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't create", path.string()));
  }
  if (chmod(path.c_str(), 0600) != 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't make it private", path.string()));
  }
  return absl::OkStatus();
}

absl::Status SetAndReadBack(SqliteConnection& connection, const std::string& pragma,
                            const std::string& value, const std::string& expected) {
  TANREN_ASSIGN_OR_RETURN(SqliteStatement set,
                          connection.Prepare(fmt::format("PRAGMA {} = {}", pragma, value)));
  TANREN_RETURN_IF_ERROR(set.Run());
  TANREN_ASSIGN_OR_RETURN(const std::string found, connection.QueryText("PRAGMA " + pragma));
  if (found == expected) return absl::OkStatus();
  return absl::InternalError(fmt::format("{}: {} is {} after it was set to {}",
                                         connection.path().string(), pragma, found, expected));
}

absl::Status Configure(SqliteConnection& connection) {
  // Before the first look into the file, so that the log's index is in this process's memory and
  // the lock is never let go.
  TANREN_RETURN_IF_ERROR(SetAndReadBack(connection, "locking_mode", "EXCLUSIVE", "exclusive"));
  TANREN_RETURN_IF_ERROR(SetAndReadBack(connection, "journal_mode", "WAL", "wal"));
  TANREN_RETURN_IF_ERROR(SetAndReadBack(connection, "synchronous", "FULL", "2"));
  TANREN_RETURN_IF_ERROR(SetAndReadBack(connection, "wal_autocheckpoint", "0", "0"));
  // A bad disk answers a mapped page with a signal, a read with an error.
  TANREN_RETURN_IF_ERROR(connection.Execute("PRAGMA mmap_size = 0"));
  TANREN_RETURN_IF_ERROR(SetAndReadBack(connection, "trusted_schema", "OFF", "0"));
  TANREN_RETURN_IF_ERROR(SetAndReadBack(connection, "cell_size_check", "ON", "1"));
  return connection.StatusOf(
      sqlite3_db_config(connection.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr),
      "no checkpoint on close");
}

}  // namespace

SqliteStore::SqliteStore(std::shared_ptr<const LockFile> lock, SqliteConnection connection)
    : lock_(std::move(lock)), connection_(std::move(connection)) {}

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const fs::path& folder) {
  TANREN_ASSIGN_OR_RETURN(LockFile lock, TakeStateFolder(folder));
  return Open(folder, std::make_shared<const LockFile>(std::move(lock)));
}

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(
    const fs::path& folder, std::shared_ptr<const LockFile> lock) {
  const fs::path path = folder / kHistoryName;
  std::error_code ignored;
  if (!fs::exists(path, ignored) && fs::exists(path.string() + "-wal", ignored)) {
    return absl::DataLossError(
        fmt::format("{}: missing, but its write-ahead log is there: put it back, or move the log "
                    "away and restore a backup with `tanren admin restore`",
                    path.string()));
  }
  TANREN_RETURN_IF_ERROR(MakePrivateFile(path));
  TANREN_ASSIGN_OR_RETURN(auto connection,
                          SqliteConnection::Open(path, SqliteConnection::Mode::kReadWrite));
  TANREN_RETURN_IF_ERROR(Configure(connection));
  TANREN_ASSIGN_OR_RETURN(const int64_t tables,
                          connection.QueryInteger("SELECT COUNT(*) FROM sqlite_master"));
  // New, or a crash came before the tables.
  if (tables == 0) TANREN_RETURN_IF_ERROR(CreateTables(connection));
  std::unique_ptr<SqliteStore> store(new SqliteStore(std::move(lock), std::move(connection)));
  TANREN_RETURN_IF_ERROR(store->Load());
  return store;
}

absl::Status SqliteStore::Load() {
  TANREN_RETURN_IF_ERROR(CheckIsHistory(connection_));
  TANREN_RETURN_IF_ERROR(QuickCheck(connection_, kQuickCheckMs));
  TANREN_ASSIGN_OR_RETURN(last_sequence_, CheckSequence(connection_));
  TANREN_ASSIGN_OR_RETURN(const bool is_copy, IsCopy(connection_));
  needs_new_epoch_ = is_copy || last_sequence_ == 0;
  if (is_copy && last_sequence_ != 0) {
    LogWarning(
        "{}: a copy of an earlier history: a new epoch begins, and what ran since the copy "
        "was made is ended",
        connection_.path().string());
  }
  TANREN_RETURN_IF_ERROR(Prepare());
  sqlite3_wal_hook(
      connection_.handle(),
      [](void* pages, sqlite3*, const char*, int count) {
        *static_cast<int*>(pages) = count;
        return SQLITE_OK;
      },
      &log_pages_);
  return absl::OkStatus();
}

absl::Status SqliteStore::Prepare() {
  const auto prepare = [&](SqliteStatement& statement, std::string_view sql) -> absl::Status {
    TANREN_ASSIGN_OR_RETURN(statement, connection_.Prepare(sql));
    return absl::OkStatus();
  };
  TANREN_RETURN_IF_ERROR(prepare(statements_.begin, "BEGIN IMMEDIATE"));
  TANREN_RETURN_IF_ERROR(prepare(statements_.commit, "COMMIT"));
  TANREN_RETURN_IF_ERROR(prepare(statements_.rollback, "ROLLBACK"));
  TANREN_RETURN_IF_ERROR(prepare(statements_.add_event, "INSERT INTO events VALUES (?, ?, ?)"));
  TANREN_RETURN_IF_ERROR(
      prepare(statements_.put_record,
              "INSERT INTO records VALUES (?, ?, ?, ?) ON CONFLICT (kind, key) "
              "DO UPDATE SET value = excluded.value, checksum = excluded.checksum"));
  TANREN_RETURN_IF_ERROR(
      prepare(statements_.erase_record, "DELETE FROM records WHERE kind = ? AND key = ?"));
  return prepare(statements_.select_events,
                 "SELECT sequence, event, checksum FROM events WHERE sequence >= ? "
                 "ORDER BY sequence LIMIT ?");
}

SqliteStore::~SqliteStore() {
  if (const auto copy = copy_.lock()) copy->Abandon();
  // After an error the log stays as it is, for the next Open.
  if (!broken_.ok() || connection_.handle() == nullptr) return;
  const int code = sqlite3_wal_checkpoint_v2(connection_.handle(), "main",
                                             SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  if (const absl::Status status = connection_.StatusOf(code, "checkpoint"); !status.ok()) {
    LogWarning("{}", std::string(status.message()));
  }
}

template <typename Change>
absl::Status SqliteStore::Transact(Change change) {
  if (!broken_.ok()) {
    return absl::FailedPreconditionError(fmt::format(
        "the store takes no commit after one that failed: {}", std::string(broken_.message())));
  }
  const auto transaction = [&]() -> absl::Status {
    TANREN_RETURN_IF_ERROR(statements_.begin.Run());
    TANREN_RETURN_IF_ERROR(change());
    TANREN_RETURN_IF_ERROR(FailPoint("store.before_commit"));
    TANREN_RETURN_IF_ERROR(statements_.commit.Run());
    return FailPoint("store.after_commit");
  };
  broken_ = transaction();
  if (!broken_.ok()) {
    if (sqlite3_get_autocommit(connection_.handle()) == 0) (void)statements_.rollback.Run();
    return broken_;
  }
  CheckpointIfDue();
  return absl::OkStatus();
}

void SqliteStore::CheckpointIfDue() {
  if (log_pages_ < kCheckpointPages) return;
  log_pages_ = 0;
  // The commit is durable already: an error here is for those that follow.
  broken_ = FailPoint("store.before_checkpoint");
  if (!broken_.ok()) return;
  const int code = sqlite3_wal_checkpoint_v2(connection_.handle(), "main",
                                             SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  broken_ = connection_.StatusOf(code, "checkpoint");
  if (broken_.ok()) broken_ = FailPoint("store.after_checkpoint");
}

absl::Status SqliteStore::AddRows(const Commit& commit) {
  std::string bytes;
  for (const HistoryEvent& event : commit.events) {
    event.SerializeToString(&bytes);
    SqliteStatement& add = statements_.add_event;
    add.Bind(1, static_cast<int64_t>(event.sequence()));
    add.Bind(2, bytes);
    add.Bind(3, EventChecksum(event.sequence(), bytes));
    TANREN_RETURN_IF_ERROR(add.Run());
    TANREN_RETURN_IF_ERROR(FailPoint("store.between_statements"));
  }
  for (const Record& record : commit.records) {
    SqliteStatement& change = record.erase ? statements_.erase_record : statements_.put_record;
    change.Bind(1, static_cast<int64_t>(record.kind));
    change.Bind(2, std::string_view(record.key));
    if (!record.erase) {
      change.Bind(3, std::string_view(record.value));
      change.Bind(4, RecordChecksum(record.kind, record.key, record.value));
    }
    TANREN_RETURN_IF_ERROR(change.Run());
    TANREN_RETURN_IF_ERROR(FailPoint("store.between_statements"));
  }
  return absl::OkStatus();
}

absl::Status SqliteStore::Write(const Commit& commit) {
  if (broken_.ok()) {
    TANREN_RETURN_IF_ERROR(CheckCommit(commit, last_sequence_, needs_new_epoch_));
    if (commit.empty()) return absl::OkStatus();
  }
  const bool begins_epoch = needs_new_epoch_ && !commit.events.empty();
  TANREN_RETURN_IF_ERROR(Transact([&]() -> absl::Status {
    TANREN_RETURN_IF_ERROR(AddRows(commit));
    return begins_epoch ? MarkAsOriginal(connection_) : absl::OkStatus();
  }));
  last_sequence_ += commit.events.size();
  if (begins_epoch) needs_new_epoch_ = false;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<HistoryEvent>> SqliteStore::Events(uint64_t first, int limit) {
  std::vector<HistoryEvent> events;
  if (limit <= 0 || first > last_sequence_) return events;
  statements_.select_events.Bind(1, static_cast<int64_t>(first));
  statements_.select_events.Bind(2, static_cast<int64_t>(limit));
  TANREN_RETURN_IF_ERROR(ReadEvents(
      statements_.select_events, [&](HistoryEvent event) { events.push_back(std::move(event)); }));
  return events;
}

absl::StatusOr<std::vector<Record>> SqliteStore::Records() {
  TANREN_ASSIGN_OR_RETURN(SqliteStatement select, connection_.Prepare(kSelectRecords));
  std::vector<Record> records;
  TANREN_RETURN_IF_ERROR(
      ReadRecords(select, [&](Record record) { records.push_back(std::move(record)); }));
  return records;
}

absl::Status SqliteStore::ForgetEvents(uint64_t first) {
  return Transact([&]() -> absl::Status {
    return connection_.Execute(
        fmt::format("DELETE FROM events WHERE sequence < {}", std::min(first, last_sequence_)));
  });
}

absl::StatusOr<std::unique_ptr<BackupRun>> SqliteStore::StartBackup(const fs::path& path) {
  class Run final : public BackupRun {
   public:
    explicit Run(std::shared_ptr<HistoryCopy> copy) : copy_(std::move(copy)) {}
    absl::StatusOr<bool> Step(int64_t limit_ms) override { return copy_->Step(limit_ms); }
    absl::StatusOr<uint64_t> Finish() override { return copy_->Finish(); }

   private:
    std::shared_ptr<HistoryCopy> copy_;
  };
  if (!copy_.expired()) return absl::UnavailableError("another backup is being made");
  TANREN_ASSIGN_OR_RETURN(std::shared_ptr<HistoryCopy> copy, HistoryCopy::Start(connection_, path));
  copy_ = copy;
  return std::make_unique<Run>(std::move(copy));
}

}  // namespace tanren::coordinator
