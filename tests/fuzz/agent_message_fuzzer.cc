// What an agent says, as bytes, to a coordinator that runs a job on its node: whatever it is, the
// cluster stays sound, and nothing that isn't legal comes into the history.
#include <string>

#include "coordinator/state/core.h"
#include "coordinator/state/invariants.h"
#include "proto/coordinator.pb.h"
#include "runtime/base/error.h"
#include "tests/fuzz/fuzz_cluster.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  using namespace tanren::coordinator;
  AgentMessage message;
  if (!message.ParseFromArray(data, static_cast<int>(size)) || !message.has_report()) return 0;
  CoreOptions options;
  options.allow_commands = true;
  Now now = fuzz::kClusterBegins;
  Core core = fuzz::OneNode(options, /*gpus=*/0);
  NodeReport idle;
  idle.set_sequence(1);
  core.Step(ReportInput{"n1", idle, 1}, now);
  JobSpec spec;
  spec.set_name("job");
  spec.set_project("p");
  spec.set_folder("/data");
  spec.mutable_command()->add_argv("/bin/true");
  coordinator::Role& role = *spec.add_roles();
  role.set_name("trainer");
  role.set_ranks(1);
  role.mutable_per_rank()->set_cpu_millis(1000);
  ThrowIfError(core.Step(SubmitInput{"alice", "r1", spec}, now).status);
  for (int i = 0; i < 3; ++i) {
    now.wall_ms += 1000;
    now.steady_ms += 1000;
    core.Step(TickInput{}, now);
    const Outcome outcome = core.Step(ReportInput{"n1", message.report(), 1}, now);
    fuzz::Demand(outcome.status.code() != absl::StatusCode::kInternal, "a report does no harm");
    fuzz::Demand(CheckCluster(core.cluster()).ok(), "the cluster stays sound");
    for (const HistoryEvent& event : outcome.commit.events) {
      HistoryEvent again;
      fuzz::Demand(again.ParseFromString(event.SerializeAsString()), "an event can be read again");
    }
    // So that the next time isn't one that was heard before.
    message.mutable_report()->set_sequence(message.report().sequence() + 1);
  }
  return 0;
}
