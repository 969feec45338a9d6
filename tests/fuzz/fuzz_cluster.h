// A coordinator's core with one machine, for messages from outside.
#ifndef TANREN_TESTS_FUZZ_FUZZ_CLUSTER_H_
#define TANREN_TESTS_FUZZ_FUZZ_CLUSTER_H_

#include <utility>

#include "coordinator/state/core.h"
#include "runtime/base/error.h"
#include "tests/fuzz/fuzz_protobuf.h"

namespace tanren::fuzz {

inline constexpr coordinator::Now kClusterBegins{1'795'000'000'000, 1'000'000};

// Of the first epoch, with a node "n1" of 8 cores, which has just joined.
inline coordinator::Core OneNode(const coordinator::CoreOptions& options, int gpus) {
  using namespace coordinator;
  Cluster cluster;
  ThrowIfError(Apply(EpochEvent(cluster, 1, 1, kClusterBegins), cluster, nullptr));
  Core core(options, std::move(cluster), kClusterBegins);
  Node node;
  node.set_name("n1");
  node.set_incarnation("i1");
  node.set_launcher("local");
  node.set_cpu_millis(8000);
  node.set_memory_bytes(int64_t{32} << 30);
  for (int i = 0; i < gpus; ++i) node.add_gpus()->set_index(i);
  ThrowIfError(core.Step(JoinInput{node, 1}, kClusterBegins).status);
  return core;
}

}  // namespace tanren::fuzz

#endif  // TANREN_TESTS_FUZZ_FUZZ_CLUSTER_H_
