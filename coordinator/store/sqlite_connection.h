// SQLite's C interface with Status and without leaks: no more than the history needs.
#ifndef TANREN_COORDINATOR_STORE_SQLITE_CONNECTION_H_
#define TANREN_COORDINATOR_STORE_SQLITE_CONNECTION_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace tanren::coordinator {

// A prepared statement; parameters and columns are counted as SQLite does, from 1 and from 0.
class SqliteStatement {
 public:
  void Bind(int parameter, int64_t value);
  // As a BLOB; the bytes must stay until Reset.
  void Bind(int parameter, std::string_view bytes);
  // True: there is a row. At an error or at the end the statement is reset.
  absl::StatusOr<bool> Step();
  // Steps to the end.
  absl::Status Run();
  int64_t Integer(int column) const;
  // Valid until the next Step or Reset.
  std::string_view Bytes(int column) const;
  void Reset();

 private:
  friend class SqliteConnection;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// One connection, for one thread at a time. Errors name the file and what was being done:
// kResourceExhausted for a full disk, kDataLoss for a damaged file, kUnavailable for one that
// another program has locked, kInternal for I/O errors and all others.
class SqliteConnection {
 public:
  enum class Mode { kReadOnly, kReadWrite };
  // The file must exist; kNotFound.
  static absl::StatusOr<SqliteConnection> Open(const std::filesystem::path& path, Mode mode);

  // Statements without parameters or results.
  absl::Status Execute(const std::string& sql);
  absl::StatusOr<SqliteStatement> Prepare(std::string_view sql);
  // The first column of the first row, as text or as a number; kInternal if there is no row.
  absl::StatusOr<std::string> QueryText(std::string_view sql);
  absl::StatusOr<int64_t> QueryInteger(std::string_view sql);

  // The Status of a code that SQLite answered; OK for SQLITE_OK, SQLITE_ROW and SQLITE_DONE.
  absl::Status StatusOf(int code, std::string_view action) const;
  sqlite3* handle() const { return connection_.get(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  std::filesystem::path path_;
  std::unique_ptr<sqlite3, Close> connection_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STORE_SQLITE_CONNECTION_H_
