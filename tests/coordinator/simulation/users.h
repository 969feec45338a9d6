// The people who submit and change jobs, and an administrator who mends what the coordinator has
// taken out of use. They repeat what wasn't answered, with the same request id.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_USERS_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_USERS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "coordinator/state/core.h"
#include "tests/coordinator/simulation/dice.h"
#include "tests/coordinator/simulation/world.h"

namespace tanren::coordinator::simulation {

class Users {
 public:
  explicit Users(World& world);

  void Begin();
  void Drain(int node, bool evict);
  void ResumeNode(int node);
  void RemoveNode(int node);
  // Every submission was answered, and every job that could has ended.
  bool AllEnded() const;
  // What is still waited for, for people.
  std::string Unfinished() const;
  int CountUnfinished() const;  // jobs that aren't submitted yet too
  // A job of it; 0: none.
  uint64_t FirstUnfinished() const;

 private:
  struct Request {
    Input input;
    std::string name;  // "<user>/<request id>"
    int plan = -1;     // a submission's
    bool answered = false;
  };

  void Submit(int plan);
  void Send(std::shared_ptr<Request> request);
  void Answered(const std::shared_ptr<Request>& request, const absl::Status& status,
                const std::vector<uint64_t>& jobs);
  void Meddle(int plan, uint64_t job);
  void Change(ChangeJobInput::Kind kind, const std::string& user, uint64_t job);
  void Administer();

  World& world_;
  Dice dice_;
  std::vector<std::vector<uint64_t>> jobs_of_;  // by plan, once acknowledged
  std::set<int> refused_;                       // plans that were answered with an error
  uint64_t changes_ = 0;
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_USERS_H_
