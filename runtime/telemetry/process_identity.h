// Which process this is, and whether another still runs.
#ifndef TANREN_RUNTIME_TELEMETRY_PROCESS_IDENTITY_H_
#define TANREN_RUNTIME_TELEMETRY_PROCESS_IDENTITY_H_

#include <cstdint>
#include <string>

namespace tanren::telemetry {

// When the process started, in clock ticks since boot; 0 if there is no such process or it is a
// zombie. With the process id it names a process for good, where an id alone is reused.
int64_t ProcessStart(int64_t process_id);

// Whether that process still runs on this host (a zombie doesn't).
bool ProcessRuns(int64_t process_id, int64_t process_start);

std::string HostName();

// What names this launch on all its ranks: TANREN_LAUNCH, or the names that mpirun and Slurm give
// to each job, or "".
std::string LaunchName();

}  // namespace tanren::telemetry

#endif  // TANREN_RUNTIME_TELEMETRY_PROCESS_IDENTITY_H_
