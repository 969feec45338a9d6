// How ranks that nothing connects yet learn what rank 0 knows (the id of their NCCL group): each
// connects to rank 0 once, and gets it when all have come.
#ifndef TANREN_RUNTIME_COMM_TCP_MEETING_H_
#define TANREN_RUNTIME_COMM_TCP_MEETING_H_

#include <chrono>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "runtime/comm/launched_rank.h"

namespace tanren::comm {

// The longest text that can be shared.
inline constexpr size_t kMostSharedBytes = 64 << 10;

// Called by every rank; returns rank 0's `text` on each. Ranks of another world size, two of one
// number, and ranks that don't come in time are errors on all ranks, which name them. Whoever else
// connects is sent away.
// kDeadlineExceeded, kInvalidArgument (a rank that doesn't belong here), kUnavailable (rank 0 can't
// listen, or its host has no address).
absl::StatusOr<std::string> ShareFromRankZero(const LaunchedRank& launched, std::string_view text,
                                              std::chrono::milliseconds timeout);

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_TCP_MEETING_H_
