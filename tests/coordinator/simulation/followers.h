// People who follow a job's log, attempt by attempt, and come back whenever the stream breaks: what
// they see must be what was written, byte after byte, or the gap be declared.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_FOLLOWERS_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_FOLLOWERS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/coordinator/simulation/dice.h"
#include "tests/coordinator/simulation/log_session.h"
#include "tests/coordinator/simulation/world.h"

namespace tanren::coordinator::simulation {

class Followers {
 public:
  explicit Followers(World& world) : world_(world), dice_(world.seed, Purpose::kFollowers) {}

  // Where the job was acknowledged.
  void Follow(uint64_t job);
  // Who has not come to an end though their job has: for people; empty: nobody.
  std::string Unfinished() const;

 private:
  struct Follower {
    uint64_t job = 0;
    uint64_t restores = 0;  // it follows a history, and goes with it
    uint32_t attempt = 0;   // 0: none was seen yet
    AttemptToken token;     // of the pieces of this attempt
    uint64_t seen = 0;      // the first byte that wasn't
    uint64_t streams = 0;   // counts them
    bool done = false;
  };

  void Open(Follower& follower);
  void Take(Follower& follower, const LogPiece& piece);
  void OnEnd(Follower& follower, const absl::Status& status);
  void FindNext(Follower& follower);
  bool IsOver(Follower& follower) const;

  World& world_;
  Dice dice_;
  std::vector<std::unique_ptr<Follower>> followers_;
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_FOLLOWERS_H_
