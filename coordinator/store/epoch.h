// Which epoch and which job ids come next, where what ran before may not be known any more.
#ifndef TANREN_COORDINATOR_STORE_EPOCH_H_
#define TANREN_COORDINATOR_STORE_EPOCH_H_

#include <cstdint>

namespace tanren::coordinator {

struct NextEpoch {
  uint64_t epoch = 0;
  uint64_t next_job = 0;
};

// For a store that needs_new_epoch(). What it holds is `epoch` (0: nothing), `next_job`, and the
// time of its last event; after that, somebody may have gone on from the same state and lost it,
// any number of times (a backup restored twice).
//
// The epoch is the wall clock in milliseconds, or one more than the last if that is greater. The
// ids that may have been given since the last event are passed over: 100,000 for each second, which
// is more than a coordinator can write. (A history that begins anew starts at 1 all the same: its
// epoch tells its jobs from those of another.) Both assume that the clock isn't set back behind the
// last event; if it is, they still grow.
NextEpoch EpochAfter(uint64_t epoch, uint64_t next_job, int64_t last_event_ms, int64_t now_ms);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STORE_EPOCH_H_
