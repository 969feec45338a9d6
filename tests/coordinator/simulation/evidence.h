// What processes truly live, whatever the coordinator believes: the judge of "never twice at once".
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_EVIDENCE_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_EVIDENCE_H_

#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "proto/coordinator.pb.h"
#include "tests/coordinator/simulation/world.h"

namespace tanren::coordinator::simulation {

using TokenKey = std::tuple<uint64_t, uint64_t, uint32_t>;  // epoch, job, attempt
inline TokenKey KeyOf(const AttemptToken& token) {
  return {token.epoch(), token.job(), token.attempt()};
}

class Evidence {
 public:
  Evidence(World& world, int nodes);

  // A part's processes run on the node from now on, or none of them does any more.
  void Began(int node, const PartSpec& part);
  void Ended(int node, const PartSpec& part);
  // Its machine is suspended: the part does nothing, and holds nothing that another could miss. It
  // counts as living again once Awake is called, a moment after its machine goes on. By then it
  // must have ended if it was given up meanwhile.
  void Suspended(int node, const PartSpec& part);
  void Awake(int node, const PartSpec& part);

  bool AnyOn(int node) const { return !on_node_[static_cast<size_t>(node)].empty(); }
  // Whether an attempt of the job that was placed in `epoch` or later lives.
  bool Lives(uint64_t job, uint64_t epoch) const;
  size_t living() const { return living_; }
  // The coordinator has given up `node`: nothing that was placed in `epoch` or later may live
  // there.
  void CheckGivenAway(int node, uint64_t epoch);
  // One part of an attempt has been counted as ended: that one may not live.
  void CheckPartEnded(int node, const AttemptToken& token);
  // A gang of which a part is missing for longer than `bound_us`.
  void CheckWhole(int64_t bound_us);
  // Since when a gang that misses parts counts as missing them: the coordinator came back.
  void CoordinatorStarted() { coordinator_since_us_ = world_.now_us(); }
  void CoordinatorDied() { coordinator_since_us_ = -1; }

 private:
  void Add(int node, const PartSpec& part);
  void Remove(int node, const PartSpec& part);

  struct Run {
    std::set<int> nodes;           // where it lives
    size_t wanted = 0;             // nodes it was placed on
    int64_t partial_since_us = 0;  // only if nodes.size() < wanted
  };
  struct Use {
    std::map<int, TokenKey> gpus;
    int64_t cpu_millis = 0;
    int64_t memory_bytes = 0;
  };

  World& world_;
  std::map<uint64_t, std::map<TokenKey, Run>> by_job_;
  std::vector<std::set<TokenKey>> on_node_;
  std::vector<Use> use_;
  std::map<std::pair<int, TokenKey>, bool> suspended_;  // node, part -> whether it was given up
  size_t living_ = 0;
  int64_t coordinator_since_us_ = -1;
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_EVIDENCE_H_
