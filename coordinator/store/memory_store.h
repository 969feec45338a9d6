// A store in memory that keeps the promises of one on disk, and breaks them when a simulation asks:
// deterministic, without clock or I/O.
#ifndef TANREN_COORDINATOR_STORE_MEMORY_STORE_H_
#define TANREN_COORDINATOR_STORE_MEMORY_STORE_H_

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/store/store.h"

namespace tanren::coordinator {

// What a MemoryStore holds: a copy is a disk image.
struct MemoryImage {
  uint64_t first_sequence = 1;  // of events.front()
  std::deque<std::string> events;
  std::map<std::pair<int, std::string>, std::string> records;
  bool is_copy = false;  // of the past: a new epoch must begin

  uint64_t last_sequence() const { return first_sequence + events.size() - 1; }
};

// What goes wrong with one Write.
enum class StoreFault {
  kNone,
  kNothingWritten,  // kInternal; nothing of it is there after the next Crash()
  kAnswerLost,      // kInternal; yet all of it is there after the next Crash()
  kDiskFull,        // kResourceExhausted; nothing of it is there
  // The last two break the store's promises: they show that a test would notice.
  // OK, and it isn't there after the next Crash(), nor what is written after it: a disk that lies.
  kLostAtCrash,
  kTorn,  // kInternal; its events are there after the next Crash(), its records aren't
};

class MemoryStore final : public Store {
 public:
  MemoryStore() = default;
  explicit MemoryStore(MemoryImage image);

  absl::Status Write(const Commit& commit) override;
  absl::StatusOr<std::vector<HistoryEvent>> Events(uint64_t first, int limit) override;
  absl::StatusOr<std::vector<Record>> Records() override;
  uint64_t last_sequence() const override { return image_.last_sequence(); }
  bool needs_new_epoch() const override;
  absl::Status ForgetEvents(uint64_t first) override;
  // Keeps the copy within this object, which must outlive the run: backups().
  absl::StatusOr<std::unique_ptr<BackupRun>> StartBackup(
      const std::filesystem::path& path) override;

  // The `after`-th Write from now on (0: the next) goes wrong so.
  void InjectFault(StoreFault fault, uint64_t after = 0) { faults_[writes_ + after] = fault; }
  // What a fail-stop leaves, opened again: undoes what kLostAtCrash lied about, forgets the faults
  // to come, and commits are taken again.
  void Crash();
  // A copy to restore later, marked as of the past: `MemoryStore store(old.Image())`, or Restore.
  MemoryImage Image() const;
  // As if this store's files were replaced by a copy of the past and opened.
  void Restore(MemoryImage image);

  const std::map<std::filesystem::path, MemoryImage>& backups() const { return backups_; }
  // How often Write was called with something in the commit.
  uint64_t writes() const { return writes_; }
  bool is_broken() const { return is_broken_; }

 private:
  // Adds the commit to `image`.
  static void Add(const Commit& commit, MemoryImage& image);

  MemoryImage image_;
  MemoryImage durable_;  // where lost writes began; only if lies_
  bool lies_ = false;
  Commit unanswered_;  // shows after the next Crash()
  bool is_broken_ = false;
  uint64_t writes_ = 0;
  std::map<uint64_t, StoreFault> faults_;  // by number of the Write
  std::map<std::filesystem::path, MemoryImage> backups_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STORE_MEMORY_STORE_H_
