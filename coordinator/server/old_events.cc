#include "coordinator/server/old_events.h"

#include <algorithm>
#include <vector>

#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kEveryMs = 60'000;
constexpr int64_t kMoreAfterMs = 500;
// Some milliseconds' work.
constexpr uint64_t kAtOnce = 2'000;

}  // namespace

absl::Status OldEvents::Look(Store& store, int64_t steady_ms) {
  if (keep_ms_ == 0 || steady_ms < next_look_ms_) return absl::OkStatus();
  next_look_ms_ = steady_ms + kEveryMs;
  TANREN_ASSIGN_OR_RETURN(const std::vector<HistoryEvent> newest,
                          store.Events(store.last_sequence(), 1));
  TANREN_ASSIGN_OR_RETURN(const std::vector<HistoryEvent> oldest, store.Events(1, 1));
  if (newest.empty() || oldest.empty()) return absl::OkStatus();
  const int64_t before_ms = newest.front().time_ms() - keep_ms_;
  if (oldest.front().time_ms() >= before_ms) return absl::OkStatus();
  const uint64_t first = oldest.front().sequence();
  const uint64_t end = std::min(first + kAtOnce, store.last_sequence());
  TANREN_ASSIGN_OR_RETURN(const uint64_t young, FirstYoung(store, first + 1, end, before_ms));
  if (young <= first) return absl::OkStatus();
  if (young == first + kAtOnce) next_look_ms_ = steady_ms + kMoreAfterMs;
  return store.ForgetEvents(young);
}

absl::StatusOr<uint64_t> OldEvents::FirstYoung(Store& store, uint64_t begin, uint64_t end,
                                               int64_t before_ms) const {
  while (begin < end) {
    const uint64_t middle = begin + (end - begin) / 2;
    TANREN_ASSIGN_OR_RETURN(const std::vector<HistoryEvent> event, store.Events(middle, 1));
    if (!event.empty() && event.front().time_ms() < before_ms) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return end;
}

}  // namespace tanren::coordinator
