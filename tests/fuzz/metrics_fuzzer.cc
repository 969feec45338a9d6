// A run's metrics.jsonl, read and continued.
#include "runtime/base/error.h"
#include "runtime/telemetry/metrics_file.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  static const fuzz::InputFolder folder;
  const auto path = folder.Write("metrics.jsonl", fuzz::Text(data, size));
  const auto before = ReadMetrics(path);
  auto file = ValueOrThrow(MetricsFile::Open(path));
  ThrowIfError(file.Append({.step = 1, .values = {{"loss", 2.5}}}));
  const auto after = ReadMetrics(path);
  fuzz::Demand(before.ok() == after.ok(), "what can be read can be continued");
  if (after.ok()) fuzz::Demand(after->size() == before->size() + 1, "one line was added");
  (void)file.CutBackTo(1);
  return 0;
}
