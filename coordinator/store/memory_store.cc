#include "coordinator/store/memory_store.h"

#include <algorithm>
#include <utility>

#include "coordinator/store/commit_check.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {

MemoryStore::MemoryStore(MemoryImage image) : image_(std::move(image)) {}

bool MemoryStore::needs_new_epoch() const { return image_.is_copy || last_sequence() == 0; }

void MemoryStore::Add(const Commit& commit, MemoryImage& image) {
  for (const HistoryEvent& event : commit.events) {
    if (event.has_epoch_began()) image.is_copy = false;
    image.events.push_back(event.SerializeAsString());
  }
  for (const Record& record : commit.records) {
    const std::pair key(static_cast<int>(record.kind), record.key);
    if (record.erase) {
      image.records.erase(key);
    } else {
      image.records[key] = record.value;
    }
  }
}

absl::Status MemoryStore::Write(const Commit& commit) {
  if (is_broken_) {
    return absl::FailedPreconditionError("the store takes no commit after one that failed");
  }
  TANREN_RETURN_IF_ERROR(CheckCommit(commit, last_sequence(), needs_new_epoch()));
  if (commit.empty()) return absl::OkStatus();
  StoreFault fault = StoreFault::kNone;
  if (const auto found = faults_.find(writes_); found != faults_.end()) {
    fault = found->second;
    faults_.erase(found);
  }
  ++writes_;
  switch (fault) {
    case StoreFault::kNone:
      Add(commit, image_);
      return absl::OkStatus();
    case StoreFault::kLostAtCrash:
      if (!lies_) durable_ = image_;
      lies_ = true;
      Add(commit, image_);
      return absl::OkStatus();
    case StoreFault::kAnswerLost:
      unanswered_ = commit;
      is_broken_ = true;
      return absl::InternalError("the answer to a commit was lost");
    case StoreFault::kTorn:
      unanswered_ = {commit.events, {}};
      is_broken_ = true;
      return absl::InternalError("a commit failed half-way");
    case StoreFault::kNothingWritten:
      is_broken_ = true;
      return absl::InternalError("a commit failed: input/output error");
    case StoreFault::kDiskFull:
      is_broken_ = true;
      return absl::ResourceExhaustedError("a commit failed: the disk is full");
  }
  return absl::InternalError("unknown fault");
}

absl::StatusOr<std::vector<HistoryEvent>> MemoryStore::Events(uint64_t first, int limit) {
  std::vector<HistoryEvent> events;
  const uint64_t begin = std::max(first, image_.first_sequence);
  for (uint64_t i = begin; i <= last_sequence() && std::cmp_less(events.size(), limit); ++i) {
    events.emplace_back();
    if (!events.back().ParseFromString(image_.events[i - image_.first_sequence])) {
      return absl::DataLossError(fmt::format("event {} doesn't parse", i));
    }
  }
  return events;
}

absl::StatusOr<std::vector<Record>> MemoryStore::Records() {
  std::vector<Record> records;
  records.reserve(image_.records.size());
  for (const auto& [key, value] : image_.records) {
    records.push_back({static_cast<RecordKind>(key.first), key.second, value});
  }
  return records;
}

absl::Status MemoryStore::ForgetEvents(uint64_t first) {
  if (is_broken_) {
    return absl::FailedPreconditionError("the store takes no commit after one that failed");
  }
  const uint64_t end = std::min(first, last_sequence());
  while (image_.first_sequence < end) {
    image_.events.pop_front();
    ++image_.first_sequence;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<BackupRun>> MemoryStore::StartBackup(
    const std::filesystem::path& path) {
  class Run final : public BackupRun {
   public:
    Run(MemoryStore& store, std::filesystem::path path) : store_(store), path_(std::move(path)) {}
    absl::StatusOr<bool> Step(int64_t) override {
      image_ = store_.Image();
      return true;
    }
    absl::StatusOr<uint64_t> Finish() override {
      const uint64_t last = image_.last_sequence();
      store_.backups_[path_] = std::move(image_);
      return last;
    }

   private:
    MemoryStore& store_;
    std::filesystem::path path_;
    MemoryImage image_;
  };
  if (backups_.contains(path)) {
    return absl::AlreadyExistsError(fmt::format("{}: exists", path.string()));
  }
  return std::make_unique<Run>(*this, path);
}

MemoryImage MemoryStore::Image() const {
  MemoryImage image = image_;
  image.is_copy = true;
  return image;
}

void MemoryStore::Crash() {
  Add(std::exchange(unanswered_, {}), image_);
  if (lies_) image_ = std::exchange(durable_, {});
  lies_ = false;
  is_broken_ = false;
  faults_.clear();
}

void MemoryStore::Restore(MemoryImage image) {
  Crash();
  image_ = std::move(image);
}

}  // namespace tanren::coordinator
