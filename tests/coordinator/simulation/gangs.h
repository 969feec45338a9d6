// What the simulated programs do: a gang trains once all its parts are there, and ends as its job's
// plan and what happens to its nodes want it.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_GANGS_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_GANGS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "proto/coordinator.pb.h"
#include "tests/coordinator/simulation/dice.h"
#include "tests/coordinator/simulation/evidence.h"
#include "tests/coordinator/simulation/world.h"

namespace tanren::coordinator::simulation {

class Gangs {
 public:
  explicit Gangs(World& world) : world_(world) {}

  // A part's supervisor is up, or nothing of it lives any more.
  void PartUp(int node, const PartSpec& part);
  void PartDown(int node, const PartSpec& part);
  // The node's machine is suspended, or goes on: its parts' gangs stand still as long as one of
  // their nodes does.
  void NodeSuspended(int node);
  void NodeGoesOn(int node);
  // The head was asked to save and exit.
  void Save(const AttemptToken& token, int64_t grace_ms);
  // What the head's part would tell now.
  void Fill(const AttemptToken& token, PartReport& report) const;

 private:
  struct Gang {
    PartSpec spec;
    JobPlan plan;
    std::set<int> up;
    int head = 0;
    bool head_was_up = false;
    bool trains = false;
    bool hung = false;
    bool over = false;            // what follows is only its end
    bool needs_peers = true;      // else what other parts do is nothing to it
    std::set<int> suspended;      // of `up`
    int64_t stalled_us = 0;       // since when one is; only if there are any
    int64_t trains_since_us = 0;  // without what it stood still
    int64_t first_step = 0;
    int64_t frozen_step = 0;  // where it stands still
    Checkpoint checkpoint;
    uint64_t run = 0;  // which of all
  };

  std::set<int> NodesOf(const PartSpec& part) const;
  void TryToTrain(const TokenKey& key, int64_t until_us);
  void BeginTraining(Gang& gang);
  int64_t StepAt(const Gang& gang, int64_t time_us) const;
  // Once it has made that step, and so much time more, unless it is over by then.
  void WhenAtStep(const TokenKey& key, int64_t step, int64_t more_us,
                  std::function<void(Gang&)> then);
  void PublishLater(const TokenKey& key, int64_t step);
  Machine& HeadOf(const Gang& gang);
  // A node of it goes on, or has gone: if none stands still any more, so do its steps.
  void Restart(Gang& gang) const;
  void Publish(Gang& gang, int64_t step);
  void EndHead(const TokenKey& key, AttemptEnd::Kind kind, const char* message);
  Gang* Find(const TokenKey& key);
  Dice DiceOf(const AttemptToken& token, uint32_t what) const;

  World& world_;
  std::map<TokenKey, std::unique_ptr<Gang>> gangs_;
  uint64_t runs_ = 0;
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_GANGS_H_
