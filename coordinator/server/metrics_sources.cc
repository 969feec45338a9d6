#include "coordinator/server/metrics_sources.h"

#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "coordinator/server/status_counts.h"
#include "runtime/base/build.h"

namespace tanren::coordinator {
namespace {

constexpr std::chrono::seconds kPatience{1};

absl::StatusOr<StatusReply> AskStatus(Loop& loop, const std::shared_ptr<StatusCounts>& counts) {
  // Shared with the loop's thread, which may answer when nobody waits any more.
  auto answer = std::make_shared<std::promise<absl::StatusOr<StatusReply>>>();
  std::future<absl::StatusOr<StatusReply>> answered = answer->get_future();
  const absl::Status asked =
      loop.Read([answer, counts, &loop](const absl::Status& status, const View* view) {
        if (!status.ok()) {
          answer->set_value(status);
          return;
        }
        StatusReply reply;
        counts->Fill(view->core.cluster(), SystemNow(), reply);
        reply.set_epoch(view->core.cluster().epoch);
        reply.set_version(kVersion);
        reply.set_started_ms(loop.started_ms());
        reply.set_last_sequence(view->core.cluster().last_sequence);
        reply.set_accepting(loop.accepting().ok());
        answer->set_value(std::move(reply));
      });
  if (!asked.ok()) return asked;
  if (answered.wait_for(kPatience) != std::future_status::ready) {
    return absl::DeadlineExceededError("the coordinator is busy");
  }
  return answered.get();
}

}  // namespace

Metrics::Sources SourcesOf(Loop& loop, std::function<size_t()> streams,
                           std::function<size_t()> agents,
                           std::function<int64_t()> certificate_expires_ms) {
  Metrics::Sources sources;
  // Of the loop's thread alone.
  auto counts = std::make_shared<StatusCounts>();
  sources.status = [&loop, counts] { return AskStatus(loop, counts); };
  sources.queued = [&loop] { return loop.queued(); };
  sources.streams = std::move(streams);
  sources.agents = std::move(agents);
  sources.certificate_expires_ms = std::move(certificate_expires_ms);
  return sources;
}

void CountInto(Metrics& metrics, LoopListener& listener) {
  listener.stepped = [&metrics](const Input& input) { metrics.CountInput(input); };
  listener.written = [&metrics](double seconds, size_t events, bool ok) {
    metrics.CountCommit(seconds, events, ok);
  };
  listener.passed = [&metrics](double seconds) { metrics.CountPass(seconds); };
}

}  // namespace tanren::coordinator
