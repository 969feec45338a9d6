// What users and projects have had, for fair share.
#ifndef TANREN_COORDINATOR_STATE_USAGE_H_
#define TANREN_COORDINATOR_STATE_USAGE_H_

#include <cstdint>
#include <vector>

#include "coordinator/state/cluster.h"

namespace tanren::coordinator {

// How many GPUs an attempt holds; without any, a core counts as a sixteenth of one.
double GpuEquivalents(const Attempt& attempt);

// The use at `now_ms`, wall: half of it is gone after each half-life.
double Decayed(const Usage& usage, int64_t half_life_ms, int64_t now_ms);

// The records of the job's user and project once `gpu_seconds` are added.
std::vector<Usage> AddUsage(const Cluster& cluster, const Job& job, double gpu_seconds,
                            int64_t half_life_ms, int64_t now_ms);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_USAGE_H_
