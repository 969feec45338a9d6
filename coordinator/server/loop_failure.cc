// What the loop does once the store can't be written: see Loop.
#include <algorithm>
#include <utility>

#include "coordinator/server/loop.h"
#include "coordinator/state/renewal.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {

void Loop::Fail(const absl::Status& status) {
  const absl::Status problem = absl::UnavailableError(
      fmt::format("nothing is acknowledged, because the history can't be written: {}",
                  std::string(status.message())));
  LogError("{}", std::string(problem.message()));
  {
    const std::lock_guard lock(mutex_);
    accepting_ = problem;
  }
  tries_ = 0;
  next_reopen_ = SystemNow().steady_ms + options_.reopen_every_ms;
  // The core has decided beyond what is durable: readers get what is.
  const absl::StatusOr<std::vector<Record>> records = store_->Records();
  absl::StatusOr<Cluster> cluster =
      records.ok() ? Restore(*records) : absl::StatusOr<Cluster>(records.status());
  if (cluster.ok()) {
    core_ = std::make_unique<Core>(options_.core, *std::move(cluster), SystemNow());
    return;
  }
  LogError("the history can't be read either: {}", std::string(cluster.status().message()));
  core_ = std::make_unique<Core>(options_.core, Cluster{}, SystemNow());
  const std::lock_guard lock(mutex_);
  failure_ = cluster.status();
}

void Loop::Reopen() {
  ++tries_;
  next_reopen_ = SystemNow().steady_ms + options_.reopen_every_ms;
  absl::Status opened = Open();
  if (opened.ok()) opened = ProbeWrite();
  if (!opened.ok()) {
    LogWarning("the history still can't be written: {}", std::string(opened.message()));
    if (opened.code() != absl::StatusCode::kResourceExhausted && tries_ >= options_.reopen_tries) {
      const std::lock_guard lock(mutex_);
      failure_ = opened;
    }
    return;
  }
  LogInfo("the history can be written again");
  {
    const std::lock_guard lock(mutex_);
    accepting_ = absl::OkStatus();
  }
  listener_.rejoin();
}

// Something that changes nothing, so that agents aren't told of a recovery that isn't one. SQLite
// writes no record over an equal one: it is taken away and put back.
absl::Status Loop::ProbeWrite() {
  TANREN_ASSIGN_OR_RETURN(const std::vector<Record> records, store_->Records());
  const auto ledger = std::find_if(records.begin(), records.end(), [](const Record& record) {
    return record.kind == RecordKind::kLedger;
  });
  if (ledger == records.end()) return absl::OkStatus();
  Commit commit;
  commit.records = {{RecordKind::kLedger, ledger->key, "", /*erase=*/true}, *ledger};
  return store_->Write(commit);
}

void Loop::Refuse(Change change) {
  const auto* input = std::get_if<Input>(&change.change);
  const bool goes_on = input != nullptr && GoesOnWithoutWriting(*input);
  if (!change.answered) return;
  change.answered(goes_on ? Answer{absl::OkStatus(), {}, core_.get()}
                          : Answer{accepting(), {}, nullptr});
}

bool Loop::GoesOnWithoutWriting(const Input& input) {
  const Cluster& durable = core_->cluster();
  if (const auto* join = std::get_if<JoinInput>(&input)) return IsKnownAs(join->node, durable);
  const auto* said = std::get_if<ReportInput>(&input);
  if (said == nullptr || !failure().ok()) return false;
  // The same will be said again once it can be kept.
  listener_.orders(said->node, RenewalOnly(durable, said->node, options_.core.lease_ms,
                                           ++last_orders_[said->node], said->report.sequence()));
  return false;
}

}  // namespace tanren::coordinator
