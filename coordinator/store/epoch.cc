#include "coordinator/store/epoch.h"

#include <algorithm>

namespace tanren::coordinator {

NextEpoch EpochAfter(uint64_t epoch, uint64_t next_job, int64_t last_event_ms, int64_t now_ms) {
  NextEpoch next;
  next.epoch = std::max(epoch + 1, static_cast<uint64_t>(std::max<int64_t>(0, now_ms)));
  if (epoch == 0) {
    next.next_job = std::max<uint64_t>(1, next_job);
    return next;
  }
  constexpr int64_t kIdsPerSecond = 100'000;
  // Rounded up, and a second more for events of the last millisecond.
  const int64_t seconds = std::max<int64_t>(0, now_ms - last_event_ms) / 1000 + 2;
  next.next_job = next_job + static_cast<uint64_t>(seconds * kIdsPerSecond);
  return next;
}

}  // namespace tanren::coordinator
