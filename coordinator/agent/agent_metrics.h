// An agent's numbers for Prometheus.
#ifndef TANREN_COORDINATOR_AGENT_AGENT_METRICS_H_
#define TANREN_COORDINATOR_AGENT_AGENT_METRICS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "prometheus/counter.h"
#include "prometheus/exposer.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

// Counted whether or not anybody asks. Thread-safe.
class AgentMetrics {
 public:
  AgentMetrics();

  // Answers http://<address>/metrics from here on. kUnavailable: the address can't be had.
  absl::Status Serve(const std::string& address);

  void SetConnected(bool connected);
  void CountReport() { reports_.Increment(); }
  void CountStart() { starts_.Increment(); }
  void CountStop() { stops_.Increment(); }
  // Seconds until the lease ends; negative once it has.
  void SetLease(double seconds) { lease_.Set(seconds); }
  // Since the epoch; nothing is told of an agent that shows none (0).
  void SetCertificateEnd(int64_t expires_ms);
  void SetParts(const std::vector<PartReport>& parts);

 private:
  std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Gauge& connected_;
  prometheus::Counter& streams_;
  prometheus::Counter& reports_;
  prometheus::Counter& starts_;
  prometheus::Counter& stops_;
  prometheus::Gauge& lease_;
  std::map<PartState, prometheus::Gauge*> parts_;
  prometheus::Gauge* certificate_ = nullptr;  // made when there is one
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_AGENT_AGENT_METRICS_H_
