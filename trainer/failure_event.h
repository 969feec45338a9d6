// How a run's events end when the run fails.
#ifndef TANREN_TRAINER_FAILURE_EVENT_H_
#define TANREN_TRAINER_FAILURE_EVENT_H_

#include <filesystem>
#include <string>

#include "runtime/telemetry/flight_recorder.h"

namespace tanren::trainer {

// On every rank: from now on, the one that explains a failure of the launch also appends it to the
// events of `run`, as RunEnded FAILED of `launch` (EventLog::launch). Which rank that is can't be
// known: the first one, which writes all other events, may be the one that died, or be killed by
// another's end.
void EndEventsWithFailure(telemetry::FlightRecorder& recorder, const std::filesystem::path& run,
                          const std::string& launch);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_FAILURE_EVENT_H_
