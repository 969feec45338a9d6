// What a client submits, as bytes: refused with a reason, or taken, placed and explained with the
// cluster sound.
#include <string>

#include "coordinator/state/core.h"
#include "coordinator/state/invariants.h"
#include "tests/fuzz/fuzz_cluster.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  using namespace tanren::coordinator;
  JobSpec spec;
  if (!spec.ParseFromArray(data, static_cast<int>(size))) return 0;
  CoreOptions options;
  options.allow_commands = true;
  Now now = fuzz::kClusterBegins;
  Core core = fuzz::OneNode(options, /*gpus=*/4);
  const bool is_sound = CheckSpec(spec, options).ok();
  // As large as an array may be, each input would take seconds.
  if (spec.array_size() > 50) return 0;
  const Outcome outcome = core.Step(SubmitInput{"alice", "r1", spec}, now);
  fuzz::Demand(is_sound || !outcome.status.ok(), "a spec that isn't sound is refused");
  fuzz::Demand(outcome.status.code() != absl::StatusCode::kInternal, "a submission does no harm");
  for (int i = 0; i < 3; ++i) {
    now.wall_ms += 1000;
    now.steady_ms += 1000;
    core.Step(TickInput{}, now);
    fuzz::Demand(CheckCluster(core.cluster()).ok(), "the cluster stays sound");
  }
  return 0;
}
