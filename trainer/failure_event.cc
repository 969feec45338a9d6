#include "trainer/failure_event.h"

#include <memory>
#include <string_view>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/telemetry/event_log.h"
#include "runtime/text/unicode.h"

namespace tanren::trainer {
namespace {

absl::Status AppendFailure(const std::filesystem::path& run, const std::string& launch,
                           std::string_view explanation) {
  TANREN_ASSIGN_OR_RETURN(const std::unique_ptr<EventLog> events, EventLog::Join(run, launch));
  Event event;
  event.mutable_run_ended()->set_outcome(RunEnded::FAILED);
  // It may quote what a file holds, which is no UTF-8 then; an event is.
  event.mutable_run_ended()->set_message(text::RepairUtf8(explanation));
  return events->Append(std::move(event));
}

}  // namespace

void EndEventsWithFailure(telemetry::FlightRecorder& recorder, const std::filesystem::path& run,
                          const std::string& launch) {
  recorder.set_explanation_listener([run, launch](std::string_view explanation) {
    // The run's failure has been told already; this one is told beside it.
    const absl::Status written = AppendFailure(run, launch, explanation);
    if (!written.ok()) LogWarning("{}", std::string(written.message()));
  });
}

}  // namespace tanren::trainer
