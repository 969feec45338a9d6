// An agent's decisions, without clock, processes and network: orders and what runs here in, what to
// start, end and report out. The simulation runs it as it is.
#ifndef TANREN_COORDINATOR_AGENT_AGENT_CORE_H_
#define TANREN_COORDINATOR_AGENT_AGENT_CORE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

struct AgentStop {
  AttemptToken token;
  StopReason reason = STOP_REASON_UNSPECIFIED;
  int64_t grace_ms = 0;
};

struct AgentActions {
  std::vector<PartSpec> start;
  std::vector<AgentStop> stop;
  std::vector<AttemptToken> forget;
  std::optional<int64_t> deadline_ms;  // the lease's new end, steady clock
  std::optional<NodeReport> report;    // to be sent now
};

struct AgentOptions {
  int64_t report_every_ms = 2'000;
  // Processes end so much before the lease does, so that they are gone when it is given away.
  int64_t margin_ms = 500;
};

// Times are CLOCK_BOOTTIME, milliseconds.
class AgentCore {
 public:
  explicit AgentCore(AgentOptions options) : options_(options) {}

  // The stream to the coordinator is open (a report goes out at once), or lost.
  void Connected();
  void Disconnected();
  // Orders that come late, twice or out of order within a stream change nothing.
  void OnOrders(const Orders& orders, int64_t now_ms);
  // What the launcher has now.
  void OnParts(std::vector<PartReport> parts, int64_t now_ms);
  // What is to be done. Called after each of the above and at NextCall().
  AgentActions Act(int64_t now_ms);
  int64_t NextCall(int64_t now_ms) const;

  // Until when the processes here may live; 0: no lease.
  int64_t deadline_ms() const { return deadline_ms_; }

 private:
  AgentOptions options_;
  int64_t deadline_ms_ = 0;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_AGENT_AGENT_CORE_H_
