// An agent: its core, its launcher and its stream, tied together on one thread.
#ifndef TANREN_COORDINATOR_AGENT_AGENT_H_
#define TANREN_COORDINATOR_AGENT_AGENT_H_

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/agent/agent_core.h"
#include "coordinator/agent/agent_metrics.h"
#include "coordinator/agent/connection.h"
#include "coordinator/agent/log_requests.h"
#include "coordinator/agent/outbox.h"
#include "coordinator/launch/launcher.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

struct AgentSettings {
  // Before it ends, what runs here saves and stops; else it runs on until its lease has passed.
  bool stop_parts = false;
  int64_t stop_grace_ms = 30'000;
  AgentOptions core;
  // Where the highest epoch is remembered, and what is (remembered_epoch.h).
  std::filesystem::path state;
  uint64_t epoch = 0;
};

// What Run() returned for.
enum class AgentOutcome { kEnded, kReplace };

class Agent {
 public:
  // All outlive the agent. What `outbox` holds is sent when there is a stream; `remote_end` gets
  // the answers to a RemoteStart among it.
  Agent(AgentSettings settings, Connection& connection, Launcher& launcher, Wake& wake,
        std::shared_ptr<Outbox> outbox, AgentMetrics& metrics,
        std::function<void(const RemoteEnd&)> remote_end);

  // Until `signals` (a signalfd) says otherwise: SIGTERM or SIGINT to end, SIGHUP to be replaced.
  AgentOutcome Run(int signals);

 private:
  void Sleep(int signals);
  void TakeSignals(int signals);
  void TakeEvents(int64_t now_ms);
  void TakeMessage(const CoordinatorMessage& message, int64_t now_ms);
  void Obey(const AgentActions& actions);
  void StartRemote(const RemoteStart& request);
  void SendChunks(std::vector<LogChunk> chunks);
  void LogChanges(const std::vector<PartReport>& parts);
  // False once nothing has to be waited for.
  bool StopParts();

  const AgentSettings settings_;
  Connection& connection_;
  Launcher& launcher_;
  Wake& wake_;
  const std::shared_ptr<Outbox> outbox_;
  AgentMetrics& metrics_;
  const std::function<void(const RemoteEnd&)> remote_end_;
  AgentCore core_;
  LogRequests logs_;
  std::atomic<bool> parts_changed_{true};
  bool ending_ = false;
  bool replace_ = false;
  bool unreachable_told_ = false;
  bool left_told_ = false;
  std::map<std::string, PartState> told_;  // of the log, by token
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_AGENT_AGENT_H_
