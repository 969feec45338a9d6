// Who gives way to a job of higher priority.
#ifndef TANREN_COORDINATOR_STATE_SCHEDULE_PREEMPTION_H_
#define TANREN_COORDINATOR_STATE_SCHEDULE_PREEMPTION_H_

#include <vector>

#include "absl/container/flat_hash_set.h"
#include "coordinator/state/placement_board.h"
#include "coordinator/state/schedule_running.h"

namespace tanren::coordinator {

// Positions in `running` of those that may be stopped: who loses the least GPU time comes first, of
// equal ones the lowest priority, then the youngest.
std::vector<int> ByLoss(const std::vector<RunningJob>& running);

// Positions in `running` of those that lose the least GPU time of all sets that were looked at, and
// of which none could be spared: without any one of them `job` would not fit on `board`, which is
// what will be free anyway. Only preemptible jobs of lower priority (as it was given, without
// ageing) that aren't in `spared`. Empty: there is no such set. The board is as it was afterwards.
std::vector<int> ChooseVictims(const std::vector<RunningJob>& running,
                               const std::vector<int>& by_loss, const Job& job, const Shape& shape,
                               const absl::flat_hash_set<int>& spared, Board& board);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_SCHEDULE_PREEMPTION_H_
