// What the coordinator must never forget, behind a narrow interface: an append-only history of
// events, and records that are derived from them, so that a restart needn't replay the whole past.
#ifndef TANREN_COORDINATOR_STORE_STORE_H_
#define TANREN_COORDINATOR_STORE_STORE_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/history.pb.h"

namespace tanren::coordinator {

// Where a record stands. The numbers are on disk.
enum class RecordKind : int {
  kLedger = 1,      // key ""
  kJob = 2,         // key: the id as 20 digits
  kNode = 3,        // key: its name
  kQuota = 4,       // key: its subject
  kUsage = 5,       // key: its subject
  kRequest = 6,     // key: "<user>/<request id>", value: a SubmitReply or what else was answered
  kCredential = 7,  // key: the token's public part
};

// A record's new value; an empty one with `erase` removes it.
struct Record {
  RecordKind kind;
  std::string key;
  std::string value;  // a serialised message
  bool erase = false;
};

// What becomes durable together or not at all.
struct Commit {
  std::vector<HistoryEvent> events;  // numbered on from last_sequence()
  std::vector<Record> records;       // as the events leave them

  bool empty() const { return events.empty() && records.empty(); }
};

// A copy of a store that is made in slices, so that commits go on between them. It holds what was
// committed when Step said that all is copied. Dropped before Finish was OK, it leaves nothing.
class BackupRun {
 public:
  virtual ~BackupRun() = default;
  // Copies for about `limit_ms`; true: all is copied. On the store's thread; kUnavailable once the
  // store is gone.
  virtual absl::StatusOr<bool> Step(int64_t limit_ms) = 0;
  // Then: checks the copy, flushes it, and gives it its name. Takes as long as reading it all does,
  // on any thread, and needs the store no more. The number of the last event in it.
  virtual absl::StatusOr<uint64_t> Finish() = 0;
};

// One thread at a time. After an error other than kInvalidArgument nothing may be committed any
// more (kFailedPrecondition): what is on disk then is for a new Open to find out. Reading goes on.
class Store {
 public:
  virtual ~Store() = default;

  // On disk when this returns OK; on kInvalidArgument (numbers that don't follow) nothing is.
  virtual absl::Status Write(const Commit& commit) = 0;

  // The events from number `first` on, in order, at most `limit`. Events may have been forgotten:
  // then the first one is later than was asked for.
  virtual absl::StatusOr<std::vector<HistoryEvent>> Events(uint64_t first, int limit) = 0;
  // All records, in no order.
  virtual absl::StatusOr<std::vector<Record>> Records() = 0;
  // The number of the last event; 0 where there is none.
  virtual uint64_t last_sequence() const = 0;

  // Whether the history is new, or was restored from a copy of the past: then the first events
  // must begin with an EpochBegan (kInvalidArgument otherwise), which ends this.
  virtual bool needs_new_epoch() const = 0;

  // Removes events before number `first`; the last event always stays.
  virtual absl::Status ForgetEvents(uint64_t first) = 0;
  // Begins a whole copy as a new file. kAlreadyExists; kUnavailable while another is being made.
  virtual absl::StatusOr<std::unique_ptr<BackupRun>> StartBackup(
      const std::filesystem::path& path) = 0;
  // The whole of it at once: everything else waits meanwhile.
  absl::Status Backup(const std::filesystem::path& path);
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STORE_STORE_H_
