// What Prometheus reads of a coordinator, on an address of its own.
#ifndef TANREN_COORDINATOR_SERVER_METRICS_H_
#define TANREN_COORDINATOR_SERVER_METRICS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/state/core.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

// Names begin with "tanren_coordinator_"; times are seconds. Counting is cheap and may be done from
// any thread, all at once.
class Metrics {
 public:
  // What is asked at each scrape, on a thread of the exposer: it must answer within a second or so.
  struct Sources {
    std::function<absl::StatusOr<StatusReply>()> status;
    std::function<size_t()> queued;   // inputs that wait
    std::function<size_t()> streams;  // of watchers and log readers
    std::function<size_t()> agents;   // that are connected
    // Of the listener, since the epoch; null: it has no certificate.
    std::function<int64_t()> certificate_expires_ms;
  };

  Metrics();
  ~Metrics();

  // Listens at "127.0.0.1:7412"; port 0 is chosen by the kernel. kUnavailable says why not. Sources
  // are called until Close.
  absl::Status Listen(const std::string& address, Sources sources);
  // No scrape is served, and no source called, once this returns. Idempotent.
  void Close();
  // The port that it listens on; 0: none.
  int port() const;

  void CountInput(const Input& input);
  // A commit that became durable, or failed.
  void CountCommit(double seconds, size_t events, bool ok);
  // A tick: leases, limits and the scheduling pass.
  void CountPass(double seconds);

 private:
  class Exposed;
  std::unique_ptr<Exposed> exposed_;
};

// "submit", "change_job", …: what kind of input it is.
std::string_view KindOf(const Input& input);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_METRICS_H_
