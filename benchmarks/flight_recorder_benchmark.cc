// What a recorded call costs the one who makes it: from one thread, and from several at once.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <memory>

#include "runtime/telemetry/flight_recorder.h"

namespace tanren::telemetry {
namespace {

std::unique_ptr<FlightRecorder> recorder;

void MakeRecorder(const benchmark::State&) {
  recorder = *FlightRecorder::Create(
      {.folder = std::filesystem::temp_directory_path() / "tanren_flight_recorder_benchmark",
       .launch = "benchmark"});
}

void DropRecorder(const benchmark::State&) {
  const std::filesystem::path folder = recorder->folder();
  recorder.reset();
  std::filesystem::remove_all(folder);
}

void EnterAndLeave(benchmark::State& state) {
  const RecordedCall call{"world/shard.0", "reduce-scatter", "model.layers.17", "BFloat16", 17,
                          1 << 20};
  for (auto _ : state) recorder->Leave(recorder->Enter(call), CallState::kDone);
}
BENCHMARK(EnterAndLeave)->Setup(MakeRecorder)->Teardown(DropRecorder);
BENCHMARK(EnterAndLeave)->Setup(MakeRecorder)->Teardown(DropRecorder)->Threads(2);

}  // namespace
}  // namespace tanren::telemetry

BENCHMARK_MAIN();
