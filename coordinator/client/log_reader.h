// A job's logs, read to the end or followed live, whatever restarts in between.
#ifndef TANREN_COORDINATOR_CLIENT_LOG_READER_H_
#define TANREN_COORDINATOR_CLIENT_LOG_READER_H_

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "coordinator/client/client.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

// What of a log's bytes is written, and how.
class LogPrinter {
 public:
  // `raw`: as they are, else control characters as \xNN; `tell_apart`: each line begins with its
  // rank.
  LogPrinter(FILE* out, bool raw, bool tell_apart)
      : out_(out), raw_(raw), tell_apart_(tell_apart) {}

  void Print(int rank, std::string_view data);
  // Writes what was held back: lines without an end, and characters that aren't whole.
  void Finish();
  // Of us, not of the log: on standard error.
  void Note(const std::string& text);
  // What went out is seen.
  void Flush() { std::fflush(out_); }

 private:
  void Write(int rank, std::string_view text);

  FILE* out_;
  bool raw_;
  bool tell_apart_;
  std::map<int, std::string> held_;  // by rank
};

struct LogQuery {
  uint64_t job = 0;
  uint32_t attempt = 0;  // 0: the last; when followed, those after it too
  std::string role;
  int32_t rank = 0;  // -1: all
  uint64_t offset = 0;
  int64_t tail_bytes = 0;
  int64_t since_ms = 0;  // since the epoch; 0: from `offset`
  bool follow = false;
};

// Returns once there is nothing more: when followed, once the job has ended.
absl::Status ReadLogs(Client& client, const LogQuery& query, LogPrinter& printer);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_LOG_READER_H_
