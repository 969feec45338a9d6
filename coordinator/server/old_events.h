// Events that nobody asks for any more leave the store, which otherwise grows for as long as the
// coordinator lives.
#ifndef TANREN_COORDINATOR_SERVER_OLD_EVENTS_H_
#define TANREN_COORDINATOR_SERVER_OLD_EVENTS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/store.h"

namespace tanren::coordinator {

// One thread at a time.
class OldEvents {
 public:
  // What is older than the newest event by more than `keep_ms` is old, so that nobody who sets the
  // clock wrongly empties a history; 0: nothing ever is.
  explicit OldEvents(int64_t keep_ms) : keep_ms_(keep_ms) {}

  // Removes the oldest, where it is time to look and they are old: so few that a submission
  // doesn't feel it. The last event always stays. An error is the store's, which then is broken.
  absl::Status Look(Store& store, int64_t steady_ms);

 private:
  // The first event between two numbers that is young, or `end`.
  absl::StatusOr<uint64_t> FirstYoung(Store& store, uint64_t begin, uint64_t end,
                                      int64_t before_ms) const;

  const int64_t keep_ms_;
  int64_t next_look_ms_ = 0;  // steady
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_OLD_EVENTS_H_
