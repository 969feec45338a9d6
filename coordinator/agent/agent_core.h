// An agent's decisions, without clock, processes and network: orders and what runs here in, what to
// start, end and report out. The simulation runs it as it is.
#ifndef TANREN_COORDINATOR_AGENT_AGENT_CORE_H_
#define TANREN_COORDINATOR_AGENT_AGENT_CORE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
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
  // To be on disk before anything of this is done: what AgentCore's next run is to begin with.
  std::optional<uint64_t> epoch;
  // The stream is to be ended, and the address asked anew: the lease has passed, so whoever is at
  // the other end may have stood still as long as we did; or it is a coordinator from which another
  // has taken over.
  bool leave = false;
  bool superseded = false;           // the latter
  std::optional<NodeReport> report;  // to be sent now
};

struct AgentOptions {
  int64_t report_every_ms = 2'000;
  // Processes end so much before the lease does, so that they are gone when it is given away.
  int64_t margin_ms = 500;
  // Not where another system owns the processes (Slurm): they outlive a coordinator that is away.
  bool lease_ends_parts = true;
};

// One for each run of the agent's program. Not thread-safe. Times are CLOCK_BOOTTIME, milliseconds.
class AgentCore {
 public:
  // What an earlier run on this machine left: the highest epoch that it was told to remember, and
  // until when what it started may live; 0: none. Where that has passed, all of it ends before a
  // new lease could make it look as if it had not.
  explicit AgentCore(AgentOptions options, uint64_t epoch = 0, int64_t deadline_ms = 0)
      : options_(options), deadline_ms_(deadline_ms), epoch_(epoch) {}

  // The stream to the coordinator is open (a report goes out at once), or lost. Orders and renewals
  // of an earlier stream count no more, but the lease goes on.
  void Connected();
  void Disconnected();
  // Orders that come late, twice or out of order within a stream change nothing. Those of an epoch
  // before one that was heard change nothing either, and end the stream.
  void OnOrders(const Orders& orders, int64_t now_ms);
  // What the launcher has now.
  void OnParts(std::vector<PartReport> parts, int64_t now_ms);
  // What is to be done; each thing is said once. Called after each of the above and at NextCall().
  // A report counts as sent at `now_ms`.
  AgentActions Act(int64_t now_ms);
  // When Act has something to do even if nothing comes; the greatest int64_t: never.
  int64_t NextCall(int64_t now_ms) const;

  // Until when the processes here may live; 0: no lease was heard of yet.
  int64_t deadline_ms() const { return deadline_ms_; }
  // The highest epoch that was heard of.
  uint64_t epoch() const { return epoch_; }

 private:
  using Token = std::tuple<uint64_t, uint64_t, uint32_t>;
  struct Part {
    PartReport report;
    uint64_t listed_in = 0;  // the first report of this stream that has it; 0: none yet
    bool seen = false;       // the launcher has told of it
    bool stopped = false;    // the launcher was told to end it, as follows
    int64_t stop_grace_ms = 0;
    bool forgotten = false;  // the launcher was told to forget it
  };
  static Token Key(const AttemptToken& token);

  void ObeyOrders(int64_t now_ms, AgentActions& actions);
  void EndWhatOrdersLeaveOut(AgentActions& actions);
  void Stop(const AttemptToken& token, StopReason reason, int64_t grace_ms, AgentActions& actions);
  NodeReport MakeReport(int64_t now_ms);

  AgentOptions options_;
  int64_t deadline_ms_;
  bool deadline_told_ = true;
  std::map<Token, Part> parts_;
  uint64_t epoch_;  // the highest that orders came with
  bool epoch_told_ = true;
  uint64_t last_report_ = 0;

  // Of this stream.
  bool connected_ = false;
  bool changed_ = false;  // since the last report
  bool renewed_ = false;  // the lease, once
  bool superseded_ = false;
  std::optional<Orders> orders_;
  int64_t reported_ms_ = 0;
  std::map<uint64_t, int64_t> sent_ms_;  // reports that no orders have renewed yet
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_AGENT_AGENT_CORE_H_
