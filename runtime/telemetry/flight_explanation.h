// From flight records to one message: which rank is the cause, in which collective of which unit,
// and what the others were doing.
#ifndef TANREN_RUNTIME_TELEMETRY_FLIGHT_EXPLANATION_H_
#define TANREN_RUNTIME_TELEMETRY_FLIGHT_EXPLANATION_H_

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/telemetry/flight_recorder.h"

namespace tanren::telemetry {

// One line without a final newline, a pure function of the records (of one launch, by rank), e.g.
//   "rank 1 failed in reduce-scatter #412 of 'model.layers.3' (step 7): out of memory; ranks 0, 2
//    waited in the same call"
//   "rank 1 died without an exit record in …, its last heartbeat 0.3 s before the others'; …"
//   "rank 1 never entered all-gather #17 of 'model.layers.2' (step 3): its last call is …; …"
// Looks in this order for a rank that failed, one that died, an end from outside, ranks that call
// different things, a rank that is behind.
std::string Explain(std::span<const FlightRecord> ranks);

// Writes the explanation of the launch's records in `folder` to standard error, once for each
// launch whoever asks: ranks, their watchers, or the process that started them. It stays in the
// folder as explanation*.txt. Returns what was written; nothing if someone else has explained, if
// all ranks finished well, or if there is nothing to read.
std::optional<std::string> ExplainOnce(const std::filesystem::path& folder,
                                       std::string_view launch);

// What a rank does about its launch's failure before it ends itself: explains it and tells the
// recorder's listener, or gives the rank that does so the time for both, since its own end is that
// of all ranks.
void ExplainBeforeTheEnd(const FlightRecorder& recorder);

// The file that ExplainOnce leaves.
std::filesystem::path ExplanationPath(const std::filesystem::path& folder, std::string_view launch);

}  // namespace tanren::telemetry

#endif  // TANREN_RUNTIME_TELEMETRY_FLIGHT_EXPLANATION_H_
