// What the simulated programs do: a gang trains once all its parts are there, and ends as its job's
// plan and what happens to its nodes want it.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_GANGS_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_GANGS_H_

#include <cstdint>
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
    bool over = false;  // what follows is only its end
    int64_t trains_since_us = 0;
    int64_t first_step = 0;
    int64_t frozen_step = 0;  // where it stands still
    Checkpoint checkpoint;
    uint32_t generation = 0;
  };

  std::set<int> NodesOf(const PartSpec& part) const;
  void TryToTrain(const TokenKey& key, int64_t until_us);
  void BeginTraining(Gang& gang);
  int64_t StepAt(const Gang& gang, int64_t time_us) const;
  void PublishLater(const TokenKey& key, int64_t step);
  void Publish(Gang& gang, int64_t step);
  void EndHead(const TokenKey& key, AttemptEnd::Kind kind, const char* message);
  Gang* Find(const TokenKey& key);
  Dice DiceOf(const AttemptToken& token, uint32_t what) const;

  World& world_;
  std::map<TokenKey, std::unique_ptr<Gang>> gangs_;
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_GANGS_H_
