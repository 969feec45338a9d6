// What the threads of a local group share: a meeting point for collectives and a mailbox for
// messages.
#ifndef TANREN_RUNTIME_COMM_LOCAL_GROUP_H_
#define TANREN_RUNTIME_COMM_LOCAL_GROUP_H_

#include <c10/core/ScalarType.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tanren::comm {

// Shared by a group and all groups split from it, so that one abort ends them all.
struct LocalOrigin {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<std::string> abort_reason;  // guarded by mutex
};

class LocalGroup {
 public:
  // What a rank brings to a collective. Pointers are valid until every rank has called Leave.
  struct Entry {
    std::string description;  // of the call, the same on each rank
    int rank = 0;
    void* output = nullptr;
    const void* input = nullptr;
    int color = 0;
    int key = 0;
    std::string new_name;  // of the group that a split makes
  };
  struct Message {
    at::ScalarType dtype;
    std::vector<std::byte> bytes;
  };
  // A rank's place in a new group.
  struct Place {
    std::shared_ptr<LocalGroup> group;
    int rank = 0;
  };

  LocalGroup(std::shared_ptr<LocalOrigin> origin, std::string name, int size);

  const std::string& name() const { return name_; }
  int size() const { return static_cast<int>(entries_.size()); }

  // Waits until every rank has entered. Throws kInternal on each if descriptions differ, kAborted
  // if the group is aborted before all are there. Then the entries may be read until Leave.
  void Enter(Entry entry);
  const Entry& entry(int rank) const { return entries_[rank]; }
  // Waits until every rank has left: from then on entries' buffers may change. To be called by each
  // rank that returned from Enter, whatever happens in between; an abort doesn't disturb it.
  void Leave();

  void Post(int from, int to, Message message);
  Message Take(int from, int to);

  // Between Enter and Leave of a split: this rank's new group, made by whoever asks first.
  Place Split(int rank);

  void Abort(std::string_view reason);

 private:
  void ThrowIfAborted() const;
  void CompareEntries();

  std::shared_ptr<LocalOrigin> origin_;
  std::string name_;
  std::vector<Entry> entries_;
  // All guarded by origin_->mutex.
  int entered_ = 0;
  int left_ = 0;
  uint64_t enters_ = 0;  // collectives that all ranks have entered
  uint64_t leaves_ = 0;  // … and left
  std::string mismatch_;
  std::map<std::pair<int, int>, std::deque<Message>> mail_;
  std::vector<Place> places_;  // of the split under way
};

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_LOCAL_GROUP_H_
