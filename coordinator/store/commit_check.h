// What every store refuses before it touches its disk.
#ifndef TANREN_COORDINATOR_STORE_COMMIT_CHECK_H_
#define TANREN_COORDINATOR_STORE_COMMIT_CHECK_H_

#include <cstdint>

#include "absl/status/status.h"
#include "coordinator/store/store.h"

namespace tanren::coordinator {

// kInvalidArgument unless the events are numbered on from `last_sequence` and, where a new epoch is
// needed, begin with one.
absl::Status CheckCommit(const Commit& commit, uint64_t last_sequence, bool needs_new_epoch);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STORE_COMMIT_CHECK_H_
