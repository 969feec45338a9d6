#include "runtime/telemetry/peer_watch.h"

#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <vector>

#include "fmt/format.h"
#include "runtime/telemetry/flight_explanation.h"
#include "runtime/telemetry/signals.h"

namespace tanren::telemetry {
namespace {

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

std::optional<std::string> ReasonToEnd(std::span<const FlightRecord> ranks, int own_rank,
                                       int64_t now_ns, std::chrono::milliseconds timeout) {
  const int64_t limit_ns = std::chrono::nanoseconds(timeout).count();
  for (const FlightRecord& rank : ranks) {
    if (rank.rank != own_rank) {
      if (rank.status == RankStatus::kFailed) return fmt::format("rank {} failed", rank.rank);
      if (rank.status == RankStatus::kRunning && rank.gone) {
        return fmt::format("rank {} died", rank.rank);
      }
      continue;
    }
    for (const RecordedCall& call : rank.calls) {
      if (limit_ns > 0 && call.state == CallState::kEntered && now_ns - call.start_ns > limit_ns) {
        return fmt::format("{} #{} of '{}' has lasted more than {} s", call.collective,
                           call.sequence, call.unit, static_cast<double>(timeout.count()) / 1000);
      }
    }
  }
  return std::nullopt;
}

PeerWatch::PeerWatch(FlightRecorder& recorder, const PeerWatchOptions& options)
    : recorder_(recorder), options_(options) {
  const SignalsBlocked blocked;
  thread_ = std::jthread([this](std::stop_token stop) { Run(stop); });
}

PeerWatch::~PeerWatch() {
  thread_.request_stop();
  thread_.join();
}

void PeerWatch::Run(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!wake.wait_for(lock, stop, options_.interval, [&] { return stop.stop_requested(); })) {
    if (stop.stop_requested()) return;
    const absl::StatusOr<std::vector<FlightRecord>> ranks = ReadFlightRecords(
        recorder_.folder(), recorder_.launch(), /*calls_of_rank=*/recorder_.rank());
    // The folder may be on a file system that hiccups; the next look will tell.
    if (!ranks.ok()) continue;
    const std::optional<std::string> reason =
        ReasonToEnd(*ranks, recorder_.rank(), Now(), options_.collective_timeout);
    if (!reason.has_value() || stop.stop_requested()) continue;
    ExplainBeforeTheEnd(recorder_);
    recorder_.Terminate(*reason);
    _exit(kPeerFailedExitCode);
  }
}

}  // namespace tanren::telemetry
