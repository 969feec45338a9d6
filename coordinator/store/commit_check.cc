#include "coordinator/store/commit_check.h"

#include "runtime/base/error.h"

namespace tanren::coordinator {

absl::Status CheckCommit(const Commit& commit, uint64_t last_sequence, bool needs_new_epoch) {
  uint64_t expected = last_sequence + 1;
  for (const HistoryEvent& event : commit.events) {
    if (event.sequence() != expected) {
      return absl::InvalidArgumentError(
          fmt::format("event {} where number {} follows", event.sequence(), expected));
    }
    ++expected;
  }
  if (needs_new_epoch && !commit.events.empty() && !commit.events.front().has_epoch_began()) {
    return absl::InvalidArgumentError(
        "the history is new or a copy of the past: its next event must begin an epoch");
  }
  return absl::OkStatus();
}

}  // namespace tanren::coordinator
