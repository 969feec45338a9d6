#include "coordinator/store/sqlite_connection.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

absl::StatusCode CodeOf(int code) {
  switch (code & 0xFF) {
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kUnavailable;
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return absl::StatusCode::kPermissionDenied;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status StatusOfCode(sqlite3* connection, int code, std::string_view where) {
  if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE) return absl::OkStatus();
  std::string message = fmt::format("{}: {}", where, sqlite3_errstr(code));
  if (connection != nullptr) {
    const std::string detail = sqlite3_errmsg(connection);
    if (detail != sqlite3_errstr(code)) message += fmt::format(" ({})", detail);
    const int number = sqlite3_system_errno(connection);
    const int primary = code & 0xFF;
    if (number != 0 && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN)) {
      message += fmt::format(": {}", std::strerror(number));
    }
  }
  return absl::Status(CodeOf(code), message);
}

}  // namespace

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

void SqliteStatement::Bind(int parameter, int64_t value) {
  sqlite3_bind_int64(statement_.get(), parameter, value);
}

void SqliteStatement::Bind(int parameter, std::string_view bytes) {
  // A null pointer would be NULL, not an empty BLOB.
  sqlite3_bind_blob64(statement_.get(), parameter, bytes.empty() ? "" : bytes.data(), bytes.size(),
                      SQLITE_STATIC);
}

absl::StatusOr<bool> SqliteStatement::Step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  absl::Status status;
  if (code != SQLITE_DONE) {
    sqlite3* connection = sqlite3_db_handle(statement_.get());
    const char* file = sqlite3_db_filename(connection, "main");
    status = StatusOfCode(
        connection, code,
        fmt::format("{}: {}", file == nullptr ? "" : file, sqlite3_sql(statement_.get())));
  }
  Reset();
  if (!status.ok()) return status;
  return false;
}

absl::Status SqliteStatement::Run() {
  while (true) {
    TANREN_ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) return absl::OkStatus();
  }
}

int64_t SqliteStatement::Integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view SqliteStatement::Bytes(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return bytes == nullptr ? std::string_view() : std::string_view(bytes, static_cast<size_t>(size));
}

void SqliteStatement::Reset() { sqlite3_reset(statement_.get()); }

void SqliteConnection::Close::operator()(sqlite3* connection) const {
  sqlite3_close_v2(connection);
}

absl::StatusOr<SqliteConnection> SqliteConnection::Open(const std::filesystem::path& path,
                                                        Mode mode) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't open", path.string()));
  }
  sqlite3* handle = nullptr;
  const int flags = (mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  SqliteConnection connection;
  connection.path_ = path;
  connection.connection_.reset(handle);
  TANREN_RETURN_IF_ERROR(connection.StatusOf(code, "can't open"));
  return connection;
}

absl::Status SqliteConnection::StatusOf(int code, std::string_view action) const {
  return StatusOfCode(connection_.get(), code, fmt::format("{}: {}", path_.string(), action));
}

absl::Status SqliteConnection::Execute(const std::string& sql) {
  return StatusOf(sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr), sql);
}

absl::StatusOr<SqliteStatement> SqliteConnection::Prepare(std::string_view sql) {
  sqlite3_stmt* prepared = nullptr;
  const int code = sqlite3_prepare_v3(connection_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
  SqliteStatement statement;
  statement.statement_.reset(prepared);
  TANREN_RETURN_IF_ERROR(StatusOf(code, sql));
  return statement;
}

absl::StatusOr<std::string> SqliteConnection::QueryText(std::string_view sql) {
  TANREN_ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
  TANREN_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) {
    return absl::InternalError(fmt::format("{}: {}: no row", path_.string(), sql));
  }
  return std::string(statement.Bytes(0));
}

absl::StatusOr<int64_t> SqliteConnection::QueryInteger(std::string_view sql) {
  TANREN_ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
  TANREN_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) {
    return absl::InternalError(fmt::format("{}: {}: no row", path_.string(), sql));
  }
  return statement.Integer(0);
}

}  // namespace tanren::coordinator
