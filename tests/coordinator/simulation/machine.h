// A machine: its clock, its processes with the launcher's records of them, and its agent.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_MACHINE_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_MACHINE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/agent/agent_core.h"
#include "coordinator/agent/log_requests.h"
#include "tests/coordinator/simulation/dice.h"
#include "tests/coordinator/simulation/evidence.h"
#include "tests/coordinator/simulation/spools.h"
#include "tests/coordinator/simulation/world.h"

namespace tanren::coordinator::simulation {

class Machine {
 public:
  Machine(World& world, int node);

  // ---- faults
  void CrashAgent();
  void StartAgent();  // nothing if it runs
  // In the midst of what it does next, and starts again after `for_us`.
  void CrashAgentAtAction(int64_t for_us) { crash_at_action_us_ = for_us; }
  void PauseAgent();
  void ResumeAgent();
  void PowerOff(bool lose_disk);
  void PowerOn();
  // The agent dies and its folder is removed; what it started lives on, unknown to the next.
  void LoseFolder();
  // The agent's end of its stream breaks.
  void BreakStream();
  // As a whole: nothing here runs until it goes on, and clocks that count suspension do.
  void Suspend();
  void GoOn();

  // ---- the network's end
  void Deliver(uint64_t stream, const Orders& orders);
  void AskLog(uint64_t stream, const ReadLogChunk& question);
  void StreamRefused(uint64_t stream);

  // ---- the programs' end
  // A part's processes end by themselves.
  void ExitPart(const TokenKey& key, AttemptEnd::Kind kind, const char* message);
  bool PartLives(const TokenKey& key) const;
  // The launcher has something new to tell.
  void Changed();
  // Something that happens here: a little after the machine goes on if it is suspended at that
  // time, and never if it went off before.
  void At(int64_t time_us, std::function<void()> what);
  void After(int64_t delay_us, std::function<void()> what) {
    At(world_.now_us() + delay_us, std::move(what));
  }
  // Whether the coordinator that the agent is connected to lets a remote start pass from here.
  bool Forwards(const AttemptToken& token, int node) const;

 private:
  // After a suspension processes find within this time that their lease has passed.
  static constexpr int64_t kAwakeUs = kSecond;

  struct Part {
    PartSpec spec;
    PartState state = PART_STARTING;
    AttemptEnd end;
    bool lives = false;
    bool is_head = false;
    int64_t saved_at_us = 0;
    Checkpoint checkpoint;  // as it was when the head ended
    Progress progress;
    bool has_checkpoint = false;
    int64_t kill_at_us = 0;  // 0: not stopped
    int64_t page_ms = 0;     // an orphan's: its page is renewed no more
  };

  int64_t SteadyMs() const { return clock_.Ms(world_.now_us()); }
  // What the launcher does.
  void Launch(const PartSpec& spec);
  void Execute(const TokenKey& key);
  void StopPart(const AgentStop& stop);
  void EndPart(Part& part, AttemptEnd::Kind kind, const char* message);
  void KillAll(const char* message);
  void WatchDeadline();
  void WakeParts();
  std::vector<PartReport> Parts() const;
  // What the agent's program does.
  void Connect();
  void Disconnect();
  void WatchStream(uint64_t stream);
  void Pump();
  void PumpAt(int64_t time_us);
  void Apply(AgentActions actions);
  void LookAtLogs();
  void SendChunks(std::vector<LogChunk> chunks);
  void ReadInbox();
  bool StandsStill() const { return paused_ || suspended_; }
  Node Description() const;

  World& world_;
  const int node_;
  Dice dice_;
  SteadyClock clock_;
  bool on_ = true;
  bool suspended_ = false;
  int64_t went_on_us_ = -kAwakeUs;
  std::vector<std::function<void()>> deferred_;  // while suspended
  uint32_t boots_ = 0;
  int folders_ = 0;
  std::string incarnation_;
  uint64_t epoch_ = 0;  // the highest that an agent has obeyed here

  // Of the disk and the processes.
  std::map<TokenKey, Part> parts_;
  std::vector<Part> orphans_;  // the launcher knows nothing of
  int64_t page_ms_ = 0;        // the lease page
  bool watches_deadline_ = false;

  Spools spools_;

  // Of the agent's process.
  std::unique_ptr<AgentCore> core_;
  std::unique_ptr<LogRequests> logs_;
  uint32_t agent_runs_ = 0;  // counts its starts
  bool paused_ = false;
  bool parts_changed_ = false;
  int64_t crash_at_action_us_ = -1;
  uint64_t stream_ = 0;          // 0: none
  Coordinator* peer_ = nullptr;  // that it leads to
  int64_t heard_us_ = 0;
  int64_t pump_at_us_ = -1;
  std::vector<std::function<void()>> inbox_;  // while it stands still
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_MACHINE_H_
