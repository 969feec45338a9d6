// The newest durable events in memory, so that those who watch don't ask the store for each.
#ifndef TANREN_COORDINATOR_SERVER_RECENT_EVENTS_H_
#define TANREN_COORDINATOR_SERVER_RECENT_EVENTS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "proto/history.pb.h"

namespace tanren::coordinator {

// Thread-safe.
class RecentEvents {
 public:
  explicit RecentEvents(size_t keep) : keep_(keep) {}

  using Events = std::vector<std::shared_ptr<const HistoryEvent>>;

  // Nothing is kept any more; the next event follows `last`.
  void Reset(uint64_t last);
  // Follow each other without gaps. Tells the subscribers.
  void Append(const std::vector<HistoryEvent>& events);

  // The events from number `first` on, at most `limit`. False: `first` is older than what is kept.
  bool Read(uint64_t first, size_t limit, Events& events) const;
  uint64_t last() const;

  // `changed` is called after each Append, on its thread, and must not wait. It isn't called once
  // Unsubscribe has returned.
  uint64_t Subscribe(std::function<void()> changed);
  void Unsubscribe(uint64_t subscription);

 private:
  const size_t keep_;
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<const HistoryEvent>> events_;
  uint64_t last_ = 0;
  std::mutex subscribers_mutex_;  // held while they are told
  uint64_t next_subscription_ = 1;
  std::map<uint64_t, std::function<void()>> subscribers_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_RECENT_EVENTS_H_
