// Random clusters, jobs and lives of jobs: everything follows from a seed.
#ifndef TANREN_TESTS_COORDINATOR_STATE_RANDOM_CLUSTER_H_
#define TANREN_TESTS_COORDINATOR_STATE_RANDOM_CLUSTER_H_

#include <cstdint>

#include "gtest/gtest.h"
#include "runtime/base/random.h"
#include "tests/coordinator/state/cluster_builder.h"

namespace tanren::coordinator {

class RandomCluster {
 public:
  // Nodes of several kinds in several racks, quotas, and jobs that run and wait.
  explicit RandomCluster(uint64_t seed);

  // What happens between two passes: some jobs end, come, are held, nodes drain and come back.
  void Live();

  ClusterBuilder builder;

  int Below(int bound) { return static_cast<int>(random_.NextBelow(bound)); }
  bool OneIn(int odds) { return Below(odds) == 0; }

 private:
  void AddNodes();
  JobSpec RandomSpec();
  void SubmitSome(int count);

  RandomStream random_;
};

inline constexpr int kRandomClusters = 400;

// Calls `check` with clusters of all seeds at several moments of their lives, and the plan there.
template <typename Check>
void ForEachPlan(Check check) {
  for (uint64_t seed = 0; seed < kRandomClusters; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    RandomCluster random(seed);
    for (int moment = 0; moment < 3; ++moment) {
      SCOPED_TRACE(testing::Message() << "moment " << moment);
      const Plan plan = random.builder.Pass();
      check(random.builder, plan);
      if (testing::Test::HasFailure()) return;
      random.builder.Follow(plan);
      random.Live();
    }
  }
}

}  // namespace tanren::coordinator

#endif  // TANREN_TESTS_COORDINATOR_STATE_RANDOM_CLUSTER_H_
