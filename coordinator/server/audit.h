// Who changed what: one line of JSON for each change that was asked for, whether it was allowed or
// not.
//   {"time":"2026-11-26T05:41:36.123Z","user":"alice","method":"Jobs.Cancel","target":"job 17",
//    "request":"7f3a…","outcome":"OK"}
#ifndef TANREN_COORDINATOR_SERVER_AUDIT_H_
#define TANREN_COORDINATOR_SERVER_AUDIT_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tanren::coordinator {

struct AuditEntry {
  int64_t time_ms = 0;  // since the epoch
  std::string user;     // "" where nobody was authenticated
  std::string method;   // "Admin.Drain"
  std::string target;   // "node t1"
  std::string request_id;
  absl::Status outcome;
};

struct AuditOptions {
  uint64_t limit_bytes = 64 << 20;  // of a file; then the next is begun
  int keep = 10;                    // files that are full
};

// Appends to <folder>/audit.jsonl (mode 0600). A full one is renamed to audit-000001.jsonl and so
// on, the numbers only ever going up, and the oldest beyond `keep` are removed.
//
// A line is in the kernel's hands when Append returns: it survives the end of the process. It is on
// disk when the kernel writes it, usually within 30 s, or when the file is full: a loss of power
// may take the last lines, whose changes stand in the history, which is flushed. Thread-safe.
class AuditLog {
 public:
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(const std::filesystem::path& folder,
                                                        const AuditOptions& options = {});
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // Long texts are shortened to 512 bytes each.
  absl::Status Append(const AuditEntry& entry);

 private:
  AuditLog(std::filesystem::path folder, const AuditOptions& options);
  absl::Status OpenFile();
  absl::Status Rotate();

  const std::filesystem::path folder_;
  const AuditOptions options_;
  std::mutex mutex_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_AUDIT_H_
