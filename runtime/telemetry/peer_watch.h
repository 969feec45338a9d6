// Looks after the other ranks of a launch, so that none is waited for in vain.
#ifndef TANREN_RUNTIME_TELEMETRY_PEER_WATCH_H_
#define TANREN_RUNTIME_TELEMETRY_PEER_WATCH_H_

#include <chrono>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>

#include "runtime/telemetry/flight_recorder.h"

namespace tanren::telemetry {

struct PeerWatchOptions {
  std::chrono::milliseconds interval{200};
  // How long one communicator call may take. Zero: for ever.
  std::chrono::milliseconds collective_timeout = std::chrono::minutes(10);
};

// The exit code of a rank that was ended because of another.
inline constexpr int kPeerFailedExitCode = 71;

// Why this rank can't go on, if it can't: a peer of this host died or failed, or its own call has
// lasted longer than the timeout. A pure function; `now_ns` since the epoch.
std::optional<std::string> ReasonToEnd(std::span<const FlightRecord> ranks, int own_rank,
                                       int64_t now_ns, std::chrono::milliseconds timeout);

// A thread that looks at the peers' records through the shared folder. Where there is a reason to
// end, the explanation is printed (by one rank, see ExplainBeforeTheEnd) and this process exits at
// once, without MPI, which may be what hangs; the launcher then ends ranks of other hosts.
class PeerWatch {
 public:
  // The recorder must outlive it.
  PeerWatch(FlightRecorder& recorder, const PeerWatchOptions& options);
  PeerWatch(const PeerWatch&) = delete;
  PeerWatch& operator=(const PeerWatch&) = delete;
  ~PeerWatch();

 private:
  void Run(std::stop_token stop);

  FlightRecorder& recorder_;
  PeerWatchOptions options_;
  std::jthread thread_;
};

}  // namespace tanren::telemetry

#endif  // TANREN_RUNTIME_TELEMETRY_PEER_WATCH_H_
