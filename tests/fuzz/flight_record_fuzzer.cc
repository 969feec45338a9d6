// The flight record of a rank, explained. The input is what differs from a whole one, by XOR.
#include <algorithm>
#include <string>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/telemetry/flight_explanation.h"
#include "runtime/telemetry/flight_recorder.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

std::string WholeRecord(const std::filesystem::path& folder) {
  using namespace tanren::telemetry;
  auto recorder = tanren::ValueOrThrow(
      FlightRecorder::Create({.folder = folder, .rank = 1, .world_size = 2, .launch = "fuzz"}));
  recorder->Leave(recorder->Enter({"world", "all-gather", "norm", "bfloat16", 1, 64, 3}),
                  CallState::kDone);
  recorder->Enter({"world", "reduce-scatter", "norm", "float32", 2, 64, 3});
  recorder->Fail("out of memory");
  return tanren::ValueOrThrow(tanren::ReadFile(FlightRecordPath(folder, 1)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  static const fuzz::InputFolder folder;
  static const std::string whole = WholeRecord(folder.path());
  std::string file = whole;
  for (size_t i = 0; i < std::min(size, file.size()); ++i) file[i] ^= static_cast<char>(data[i]);
  folder.Write("rank-1.bin", whole);
  folder.Write("rank-0.bin", file);
  const auto ranks = telemetry::ReadFlightRecords(folder.path());
  if (ranks.ok()) (void)telemetry::Explain(*ranks);
  return 0;
}
