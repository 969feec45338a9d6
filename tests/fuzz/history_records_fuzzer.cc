// The records of a history, as their rows hold them: refused with their names, or a cluster whose
// soundness can be told, and that stays sound under a coordinator that begins an epoch with it.
//
// Each record of the input: a byte for its kind, a length and its key, a length of two bytes and
// its value.
#include <string>
#include <vector>

#include "coordinator/state/core.h"
#include "coordinator/state/invariants.h"
#include "runtime/base/error.h"
#include "tests/fuzz/fuzz_cluster.h"
#include "tests/fuzz/fuzz_input.h"

namespace tanren::coordinator {
namespace {

std::vector<Record> RecordsOf(std::string_view bytes) {
  std::vector<Record> records;
  const auto take = [&](size_t size) {
    const std::string_view taken = bytes.substr(0, size);
    bytes.remove_prefix(taken.size());
    return std::string(taken);
  };
  const auto length = [&](size_t size) {
    size_t number = 0;
    for (const char c : take(size)) number = number << 8 | static_cast<uint8_t>(c);
    return number;
  };
  while (!bytes.empty() && records.size() < 100) {
    Record record{static_cast<RecordKind>(length(1)), "", ""};
    record.key = take(length(1));
    record.value = take(length(2));
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace
}  // namespace tanren::coordinator

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  using namespace tanren::coordinator;
  absl::StatusOr<Cluster> cluster = Restore(RecordsOf(fuzz::Text(data, size)));
  if (!cluster.ok()) {
    fuzz::Demand(cluster.status().code() == absl::StatusCode::kDataLoss, "what is damaged is said");
    return 0;
  }
  if (!CheckCluster(*cluster).ok()) return 0;
  Now now = fuzz::kClusterBegins;
  const HistoryEvent epoch = EpochEvent(*cluster, cluster->epoch + 1, cluster->next_job, now);
  if (!Apply(epoch, *cluster, nullptr).ok()) return 0;
  Core core(CoreOptions{}, *std::move(cluster), now);
  for (int i = 0; i < 3; ++i) {
    now.wall_ms += 1000;
    now.steady_ms += 1000;
    const Outcome outcome = core.Step(TickInput{}, now);
    fuzz::Demand(outcome.status.code() != absl::StatusCode::kInternal, "a tick does no harm");
    fuzz::Demand(CheckCluster(core.cluster()).ok(), "the cluster stays sound");
  }
  return 0;
}
