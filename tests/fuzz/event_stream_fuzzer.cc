// What a job's first rank sends its supervisor, in any pieces: the progress that is made of it can
// be sent to the coordinator, and a checkpoint lies below the attempt's folder.
#include <string>

#include "coordinator/launch/run_progress.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/fuzz_protobuf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  using namespace tanren::coordinator;
  if (size == 0) return 0;
  constexpr char kFolder[] = "/data/job-1/attempt-1";
  const size_t piece = data[0] + size_t{1};
  const std::string_view bytes = fuzz::Text(data + 1, size - 1);
  EventStream stream;
  RunProgress progress(1, kFolder, /*hang_after_ms=*/0, /*started_ms=*/1000);
  int64_t now_ms = 1000;
  const auto on_event = [&](const Event& event) {
    ++now_ms;
    progress.OnEvent(event, now_ms, now_ms);
  };
  for (size_t at = 0; at < bytes.size(); at += piece) {
    if (!stream.Feed(bytes.substr(at, piece), on_event)) break;
  }
  (void)progress.IsHung(now_ms + 1'000'000);
  PartReport report;
  if (progress.progress()) *report.mutable_progress() = *progress.progress();
  if (progress.checkpoint()) {
    *report.mutable_checkpoint() = *progress.checkpoint();
    fuzz::Demand(progress.checkpoint()->folder().starts_with(std::string(kFolder) + "/"),
                 "a checkpoint lies in its attempt");
  }
  report.mutable_end()->set_message(progress.end_message());
  PartReport again;
  fuzz::Demand(again.ParseFromString(report.SerializeAsString()), "a report can be read again");
  return 0;
}
