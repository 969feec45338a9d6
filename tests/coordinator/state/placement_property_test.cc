// The index finds what a look at every node finds.
#include <string>
#include <vector>

#include "coordinator/state/placement.h"
#include "fmt/format.h"
#include "gtest/gtest.h"
#include "runtime/base/random.h"
#include "tests/coordinator/state/cluster_builder.h"
#include "tests/coordinator/state/plain_placement.h"

namespace tanren::coordinator {
namespace {

class RandomBoard {
 public:
  explicit RandomBoard(uint64_t seed) : random_(seed, RandomPurpose::kShuffle) {
    const int nodes = 1 + Below(80);
    const int racks = 1 + Below(OneIn(3) ? 40 : 8);
    const bool islands = OneIn(3);
    for (int i = 0; i < nodes; ++i) {
      const int gpus = OneIn(6) ? 0 : OneIn(3) ? 4 : 8;
      Node& node = builder_.AddNode(fmt::format("n{:02}", i), gpus,
                                    fmt::format("r{:02}", Below(racks)), islands ? 2 : 0);
      if (OneIn(4)) (*node.mutable_labels())["kind"] = "a";
      if (OneIn(4)) node.set_cpu_millis(1000 * (1 + Below(8)));
      if (OneIn(10)) node.set_draining(true);
      builder_.Refresh(node.name());
    }
  }

  JobSpec RandomSpec() {
    JobSpec spec = Gang(1 + Below(OneIn(3) ? 60 : 12), OneIn(4) ? 0 : 1 + Below(OneIn(4) ? 4 : 1));
    Role& role = *spec.mutable_roles(0);
    if (OneIn(4)) role.set_max_ranks_per_node(1 + Below(4));
    if (OneIn(4)) role.mutable_per_rank()->set_memory_bytes((1 + Below(60)) * kGiB);
    if (OneIn(3)) role.mutable_per_rank()->set_cpu_millis(500 * Below(12));
    if (OneIn(6)) (*spec.mutable_node_labels())["kind"] = "a";
    for (int i = Below(3); i > 0 && OneIn(3); --i) {
      spec.add_excluded_nodes(fmt::format("n{:02}", Below(80)));
    }
    return spec;
  }

  int Below(int bound) { return static_cast<int>(random_.NextBelow(bound)); }
  bool OneIn(int odds) { return Below(odds) == 0; }
  const Cluster& cluster() const { return builder_.cluster; }

 private:
  ClusterBuilder builder_;
  RandomStream random_;
};

TEST(EveryPlacement, IsTheOneThatALookAtEveryNodeFinds) {
  int placed = 0, spread = 0, refused = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    RandomBoard random(seed);
    const NodeTable nodes(random.cluster());
    ShapeTable shapes(nodes);
    Board board(nodes, shapes, Board::Fill::kFreeNow);
    std::vector<std::vector<GangPart>> running;
    for (int i = 0; i < 60; ++i) {
      const JobSpec spec = random.RandomSpec();
      const Shape& shape = shapes.Of(spec);
      const PlainPlaces expected = PlacePlainly(shape, shapes, board);
      const size_t mark = board.Mark();
      std::vector<GangPart> parts;
      const bool fits = PlaceGang(shape, board, parts);
      PlainPlaces places;
      if (fits) {
        for (const GangPart& part : parts) places.emplace_back(part.share.node, part.ranks);
      }
      ASSERT_EQ(places, expected) << "gang " << i << ": " << spec.DebugString();
      ++(!fits ? refused : parts.size() > 1 ? spread : placed);
      // What is undone and given back must leave the index as true as what is taken.
      if (random.OneIn(4)) {
        board.UndoTo(mark);
      } else if (fits) {
        board.Commit();
        running.push_back(parts);
      }
      if (!running.empty() && random.OneIn(3)) {
        const int ended = random.Below(static_cast<int>(running.size()));
        for (const GangPart& part : running[ended]) board.Give(part.share);
        board.Commit();
        running.erase(running.begin() + ended);
      }
    }
  }
  EXPECT_GT(placed, 1000);
  EXPECT_GT(spread, 1000);
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace tanren::coordinator
