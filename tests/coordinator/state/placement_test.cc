// Where gangs go.
#include "coordinator/state/placement_board.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/coordinator/state/cluster_builder.h"

namespace tanren::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::vector<std::string> NodesOfOnly(const ClusterBuilder& builder) {
  const Plan plan = builder.Pass();
  EXPECT_EQ(WhatIsWrong(builder.cluster, plan), "");
  if (plan.starts.size() != 1) return {};
  return NodesOf(plan.starts[0]);
}

TEST(Placement, AGangIsPlacedWholeOrNotAtAll) {
  ClusterBuilder builder;
  builder.AddNodes(2, 4);
  builder.Submit(Gang(9, 1));
  EXPECT_THAT(builder.Pass().starts, IsEmpty());
  const uint64_t fits = builder.Submit(Gang(8, 1));
  const Plan plan = builder.Pass();
  EXPECT_THAT(Started(plan), ElementsAre(fits));
  EXPECT_EQ(WhatIsWrong(builder.cluster, plan), "");
}

TEST(Placement, RanksAreCountedOnFromNodeToNodeAndHaveTheirGpusInOrder) {
  ClusterBuilder builder;
  builder.AddNodes(2, 4);
  builder.Submit(Gang(3, 2));
  const Plan plan = builder.Pass();
  ASSERT_EQ(plan.starts.size(), 1u);
  const auto& placements = plan.starts[0].placements;
  ASSERT_EQ(placements.size(), 2u);
  EXPECT_EQ(placements[0].node(), "t1");
  EXPECT_EQ(placements[0].first_rank(), 0);
  EXPECT_EQ(placements[0].ranks(), 2);
  EXPECT_THAT(placements[0].gpus(), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(placements[1].node(), "t2");
  EXPECT_EQ(placements[1].first_rank(), 2);
  EXPECT_EQ(placements[1].ranks(), 1);
  EXPECT_THAT(placements[1].gpus(), ElementsAre(0, 1));
  EXPECT_EQ(placements[1].total().cpu_millis(), 1000);
}

TEST(Placement, GpusAreNamedByTheirIndexNotByTheirPlaceInTheList) {
  ClusterBuilder builder;
  Node& node = builder.AddNode("t1", 2);
  node.mutable_gpus(0)->set_index(3);
  node.mutable_gpus(1)->set_index(1);
  builder.RunOn("t1", 1);
  builder.Submit(Gang(1, 1));
  const Plan plan = builder.Pass();
  ASSERT_EQ(plan.starts.size(), 1u);
  EXPECT_THAT(plan.starts[0].placements[0].gpus(), ElementsAre(1));
}

TEST(Placement, AnOpenNodeThatFitsCloselyIsTakenBeforeAnEmptyOne) {
  ClusterBuilder builder;
  builder.AddNodes(3, 8);
  builder.RunOn("t2", 5);
  builder.RunOn("t3", 2);
  builder.Submit(Gang(3, 1));
  EXPECT_THAT(NodesOfOnly(builder), ElementsAre("t2"));
}

TEST(Placement, NodesThatFailedAJobAreItsLastChoice) {
  ClusterBuilder builder;
  builder.AddNodes(4, 8);
  const uint64_t id = builder.Submit(Gang(2, 8));
  EXPECT_THAT(NodesOfOnly(builder), ElementsAre("t1", "t2"));
  Job& job = builder.job(id);
  job.set_failures(1);
  job.mutable_attempt()->mutable_end()->set_kind(AttemptEnd::INFRASTRUCTURE);
  job.mutable_attempt()->mutable_end()->set_node("t1");
  job.mutable_attempt()->mutable_end()->set_unreached_node("t2");
  EXPECT_THAT(NodesOfOnly(builder), ElementsAre("t3", "t4"));
  builder.cluster.nodes.at("t4").set_draining(true);
  EXPECT_THAT(NodesOfOnly(builder), ElementsAre("t2", "t3")) << "one of the two may do";
  builder.cluster.nodes.at("t3").set_draining(true);
  EXPECT_THAT(NodesOfOnly(builder), ElementsAre("t1", "t2")) << "better there than nowhere";
}

TEST(Placement, AGangTakesTheFewestHosts) {
  ClusterBuilder builder;
  builder.AddNodes(4, 8);
  builder.RunOn("t1", 4);
  builder.RunOn("t2", 4);
  builder.Submit(Gang(12, 1));
  // t1 and t2 would fit more closely, but make three hosts.
  EXPECT_THAT(NodesOfOnly(builder), ElementsAre("t1", "t3"));
}

TEST(Placement, AGangStaysInOneRackWhereOneHoldsItOnAsFewHosts) {
  ClusterBuilder builder;
  builder.AddNodes(6, 8, 2);  // racks of t1 t2, t3 t4, t5 t6
  builder.RunOn("t1", 1);
  builder.RunOn("t3", 1);
  builder.Submit(Gang(16, 1));
  EXPECT_THAT(NodesOfOnly(builder), ElementsAre("t5", "t6"));
}

TEST(Placement, TheFullestRackThatHoldsAGangIsTaken) {
  ClusterBuilder builder;
  builder.AddNodes(6, 8, 3);
  builder.RunOn("t6", 8);
  builder.Submit(Gang(16, 1));
  EXPECT_THAT(NodesOfOnly(builder), ElementsAre("t4", "t5"));
}

TEST(Placement, CpuGangsStayInOneRackToo) {
  ClusterBuilder builder;
  builder.AddNodes(4, 0, 2);
  builder.RunOn("t1", 0);
  JobSpec spec = Gang(32, 0);
  builder.Submit(spec);
  EXPECT_THAT(NodesOfOnly(builder), ElementsAre("t3", "t4"));
}

TEST(Placement, CpuWorkGoesToNodesWithoutFreeGpusFirst) {
  ClusterBuilder builder;
  builder.AddNode("a1", 8);
  builder.AddNode("b1", 0);
  builder.Submit(Gang(4, 0));
  EXPECT_THAT(NodesOfOnly(builder), ElementsAre("b1"));
}

TEST(Placement, OneIslandIsTakenBeforeACloserFitAcrossTwo) {
  ClusterBuilder builder;
  builder.AddNode("a1", 8, "r1", 4);
  builder.AddNode("b1", 8, "r1", 4);
  // On a1 two GPUs of each island are free.
  JobSpec spec = Gang(2, 1);
  for (const std::vector<int>& gpus : {std::vector<int>{0, 1}, {4, 5}}) {
    const uint64_t job = builder.Submit(spec);
    Placement placement;
    placement.set_node("a1");
    placement.set_role("trainer");
    placement.set_ranks(2);
    for (int gpu : gpus) placement.add_gpus(gpu);
    builder.Run(job, {placement});
  }
  builder.Submit(Gang(4, 1));
  const Plan plan = builder.Pass();
  ASSERT_EQ(plan.starts.size(), 1u);
  EXPECT_THAT(NodesOf(plan.starts[0]), ElementsAre("b1"));
  EXPECT_THAT(plan.starts[0].placements[0].gpus(), ElementsAre(0, 1, 2, 3));
}

TEST(Placement, ARankIsSplitBetweenIslandsOnlyIfNoneHoldsIt) {
  const std::vector<uint64_t> islands = {0x0f, 0xf0};
  // Three free in each: two ranks of two get one island each.
  EXPECT_THAT(SelectGpus(0x77, islands, 2, 2), ElementsAre(0, 1, 4, 5));
  EXPECT_THAT(SelectGpus(0x77, islands, 3, 2), ElementsAre(0, 1, 4, 5, 2, 6));
  // The smaller island where it is enough.
  EXPECT_THAT(SelectGpus(0x3f, islands, 2, 1), ElementsAre(4, 5));
}

TEST(Placement, NoMoreRanksGoToANodeThanTheRoleAllows) {
  ClusterBuilder builder;
  builder.AddNodes(3, 8);
  JobSpec spec = Gang(5, 1);
  spec.mutable_roles(0)->set_max_ranks_per_node(2);
  builder.Submit(spec);
  const Plan plan = builder.Pass();
  EXPECT_EQ(WhatIsWrong(builder.cluster, plan), "");
  ASSERT_EQ(plan.starts.size(), 1u);
  EXPECT_EQ(NodesOf(plan.starts[0]).size(), 3u);
}

TEST(Placement, CoresAndMemoryCountAsGpusDo) {
  ClusterBuilder builder;
  builder.AddNodes(2, 8);
  builder.cluster.loads.at("t1").cpu_millis_free = 3000;
  builder.cluster.loads.at("t2").memory_free = 3 * kGiB;
  JobSpec spec = Gang(4, 1);
  spec.mutable_roles(0)->mutable_per_rank()->set_memory_bytes(2 * kGiB);
  builder.Submit(spec);
  const Plan plan = builder.Pass();
  ASSERT_EQ(plan.starts.size(), 1u);
  // Three ranks by t1's cores, one by t2's memory.
  EXPECT_EQ(plan.starts[0].placements[0].ranks(), 3);
  EXPECT_EQ(plan.starts[0].placements[1].ranks(), 1);
  builder.Run(1, plan.starts[0].placements);
  builder.Submit(spec);
  EXPECT_THAT(builder.Pass().starts, IsEmpty());
}

TEST(Placement, AllRolesOfAGangArePlacedTogetherOnOneNodeWhereThatHoldsThem) {
  ClusterBuilder builder;
  builder.AddNodes(3, 8);
  JobSpec spec = Gang(4, 1);
  Role& rollout = *spec.add_roles();
  rollout.set_name("rollout");
  rollout.set_ranks(2);
  rollout.mutable_per_rank()->set_gpus(2);
  builder.Submit(spec);
  EXPECT_THAT(NodesOfOnly(builder), ElementsAre("t1"));
}

TEST(Placement, RolesThatNeedSeveralNodesShareThem) {
  ClusterBuilder builder;
  builder.AddNodes(3, 8);
  JobSpec spec = Gang(6, 1);
  Role& rollout = *spec.add_roles();
  rollout.set_name("rollout");
  rollout.set_ranks(2);
  rollout.mutable_per_rank()->set_gpus(5);
  builder.Submit(spec);
  const Plan plan = builder.Pass();
  EXPECT_EQ(WhatIsWrong(builder.cluster, plan), "");
  ASSERT_EQ(plan.starts.size(), 1u);
  EXPECT_EQ(NodesOf(plan.starts[0]).size(), 2u);
  EXPECT_EQ(plan.starts[0].placements[0].role(), "trainer") << "the first role has the head node";
}

TEST(Placement, AllRolesOrNone) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  JobSpec spec = Gang(4, 1);
  Role& rollout = *spec.add_roles();
  rollout.set_name("rollout");
  rollout.set_ranks(5);
  rollout.mutable_per_rank()->set_gpus(1);
  builder.Submit(spec);
  const uint64_t small = builder.Submit(Gang(8, 1));
  EXPECT_THAT(Started(builder.Pass()), ElementsAre(small)) << "nothing is taken by the one in vain";
}

TEST(Placement, NodesThatTakeNoWorkGetNone) {
  ClusterBuilder builder;
  builder.AddNodes(5, 8);
  builder.cluster.nodes.at("t1").set_draining(true);
  builder.cluster.nodes.at("t2").set_state(Node::SILENT);
  builder.cluster.nodes.at("t3").set_state(Node::LOST);
  JobSpec spec = Gang(8, 1);
  spec.add_excluded_nodes("t4");
  builder.Submit(spec);
  EXPECT_THAT(NodesOfOnly(builder), ElementsAre("t5"));
}

TEST(Placement, LabelsAreAllNeeded) {
  ClusterBuilder builder;
  builder.AddNodes(3, 8);
  (*builder.cluster.nodes.at("t1").mutable_labels())["gpu"] = "h100";
  (*builder.cluster.nodes.at("t2").mutable_labels())["gpu"] = "h100";
  (*builder.cluster.nodes.at("t2").mutable_labels())["room"] = "a";
  (*builder.cluster.nodes.at("t3").mutable_labels())["room"] = "a";
  JobSpec spec = Gang(8, 1);
  (*spec.mutable_node_labels())["gpu"] = "h100";
  (*spec.mutable_node_labels())["room"] = "a";
  builder.Submit(spec);
  EXPECT_THAT(NodesOfOnly(builder), ElementsAre("t2"));
}

TEST(Placement, ASlurmJobGoesWholeToANodeThatStandsForACluster) {
  ClusterBuilder builder;
  builder.AddNodes(1, 8);
  builder.AddNode("slurm-b", 0).set_launcher("slurm");
  builder.AddNode("slurm-a", 0).set_launcher("slurm");
  JobSpec spec = Gang(64, 8);
  spec.set_launcher("slurm");
  const uint64_t first = builder.Submit(spec);
  const uint64_t second = builder.Submit(spec);
  const Plan plan = builder.Pass();
  ASSERT_THAT(Started(plan), UnorderedElementsAre(first, second));
  ASSERT_EQ(plan.starts[0].placements.size(), 1u);
  EXPECT_EQ(plan.starts[0].placements[0].ranks(), 64);
  EXPECT_THAT(plan.starts[0].placements[0].gpus(), IsEmpty());
  EXPECT_EQ(plan.starts[0].placements[0].node(), "slurm-a");
  EXPECT_EQ(plan.starts[1].placements[0].node(), "slurm-b") << "the one with fewer jobs";
}

TEST(Placement, ALocalJobNeverGoesToASlurmCluster) {
  ClusterBuilder builder;
  builder.AddNode("slurm-a", 8).set_launcher("slurm");
  builder.Submit(Gang(1, 1));
  EXPECT_THAT(builder.Pass().starts, IsEmpty());
}

TEST(Placement, APartThatHasEndedLeavesItsNodeFree) {
  ClusterBuilder builder;
  builder.AddNodes(2, 4);
  const uint64_t gang = builder.Submit(Gang(8, 1));
  builder.Follow(builder.Pass());
  builder.job(gang).mutable_attempt()->add_ended_nodes("t1");
  builder.cluster.loads.at("t1") = {std::vector<bool>(4, false), 4, 64'000, 512 * kGiB, {}, {}};
  const uint64_t next = builder.Submit(Gang(4, 1));
  const uint64_t waits = builder.Submit(Gang(8, 1));
  const Plan plan = builder.Pass();
  EXPECT_THAT(Started(plan), ElementsAre(next));
  ASSERT_EQ(plan.reservations.size(), 1u);
  EXPECT_EQ(plan.reservations[0].job, waits);
}

}  // namespace
}  // namespace tanren::coordinator
