#include "coordinator/server/recent_events.h"

#include <algorithm>
#include <utility>

namespace tanren::coordinator {

void RecentEvents::Reset(uint64_t last) {
  const std::lock_guard lock(mutex_);
  events_.clear();
  last_ = last;
}

void RecentEvents::Append(const std::vector<HistoryEvent>& events) {
  if (events.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    for (const HistoryEvent& event : events) {
      events_.push_back(std::make_shared<const HistoryEvent>(event));
      last_ = event.sequence();
    }
    while (events_.size() > keep_) events_.pop_front();
  }
  const std::lock_guard lock(subscribers_mutex_);
  for (const auto& [subscription, changed] : subscribers_) changed();
}

bool RecentEvents::Read(uint64_t first, size_t limit, Events& events) const {
  const std::lock_guard lock(mutex_);
  if (first > last_) return true;
  if (events_.empty() || first < events_.front()->sequence()) return false;
  const size_t begin = first - events_.front()->sequence();
  const size_t end = std::min(events_.size(), begin + limit);
  events.insert(events.end(), events_.begin() + static_cast<std::ptrdiff_t>(begin),
                events_.begin() + static_cast<std::ptrdiff_t>(end));
  return true;
}

uint64_t RecentEvents::last() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

uint64_t RecentEvents::Subscribe(std::function<void()> changed) {
  const std::lock_guard lock(subscribers_mutex_);
  subscribers_.emplace(next_subscription_, std::move(changed));
  return next_subscription_++;
}

void RecentEvents::Unsubscribe(uint64_t subscription) {
  const std::lock_guard lock(subscribers_mutex_);
  subscribers_.erase(subscription);
}

}  // namespace tanren::coordinator
