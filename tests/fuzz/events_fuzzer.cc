// A run's events.pb, read and continued.
#include "runtime/base/error.h"
#include "runtime/telemetry/event_log.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  static const fuzz::InputFolder folder;
  const auto path = folder.Write("events.pb", fuzz::Text(data, size));
  const EventsRead read = ValueOrThrow(ReadEvents(path));
  fuzz::Demand(read.end + read.torn_bytes == size, "every byte is in a record or torn");
  (void)ReadEvents(path, size / 2);
  return 0;
}
