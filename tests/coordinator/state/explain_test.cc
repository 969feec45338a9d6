// Why a job is where it is: one exact sentence for each situation.
#include "coordinator/state/explain_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/coordinator/state/cluster_builder.h"

namespace tanren::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// `text` and `help` are parts of what is said.
void ExpectSaid(const Explanation& said, Explanation::Reason reason, const std::string& text,
                const std::string& help = "") {
  EXPECT_EQ(Explanation::Reason_Name(said.reason()), Explanation::Reason_Name(reason))
      << said.DebugString();
  EXPECT_THAT(said.text(), HasSubstr(text));
  EXPECT_THAT(said.what_would_help(), HasSubstr(help));
}

JobSpec WithLimit(int64_t ms, JobSpec spec) {
  spec.set_time_limit_ms(ms);
  return spec;
}

class Explained : public ::testing::Test {
 protected:
  ClusterBuilder builder;
};

TEST_F(Explained, AJobThatIsUnknown) {
  ExpectSaid(builder.Why(7), Explanation::INVALID, "There is no job 7.");
}

TEST_F(Explained, AJobWithoutRanks) {
  builder.AddNodes(1, 8);
  ExpectSaid(builder.WhyDry(JobSpec()), Explanation::INVALID, "It has no role");
  ExpectSaid(builder.WhyDry(Gang(0, 1)), Explanation::INVALID, "Role trainer has 0 ranks");
}

TEST_F(Explained, AHeldJob) {
  JobSpec spec = Gang(1, 1);
  spec.set_held(true);
  const uint64_t job = builder.Submit(spec);
  builder.job(job).set_hold_reason("bea: after the holidays");
  ExpectSaid(builder.Why(job), Explanation::HELD, "It is held: bea: after the holidays.",
             "Release it: tanren release 1.");
}

TEST_F(Explained, ADependency) {
  builder.AddNodes(1, 8);
  const uint64_t other = builder.RunOn("t1", 1);
  JobSpec spec = Gang(1, 1);
  spec.add_dependencies()->set_job(other);
  const uint64_t job = builder.Submit(spec);
  const Explanation said = builder.Why(job);
  ExpectSaid(said, Explanation::DEPENDENCY, "It waits for the success of job 1, which is running.");
  EXPECT_THAT(said.waits_for(), ElementsAre(other));
  builder.End(other, FAILED);
  ExpectSaid(builder.Why(job), Explanation::DEPENDENCY,
             "It waits for the success of job 1, which failed: it can't start.");
}

TEST_F(Explained, AQuota) {
  builder.AddNodes(2, 8);
  builder.SetQuota("user/alice", 6);
  const uint64_t running = builder.RunOn("t1", 4);
  const Explanation said = builder.Why(builder.Submit(Gang(4, 1)));
  ExpectSaid(said, Explanation::QUOTA,
             "It asks for 4 GPUs; the quota of user/alice is 6 GPUs, and 4 are held or come first.",
             "Lower --gpus to 2, or wait until others of user/alice end.");
  EXPECT_THAT(said.waits_for(), ElementsAre(running));
  ExpectSaid(builder.WhyDry(Gang(8, 1)), Explanation::QUOTA,
             "It asks for 8 GPUs, and the quota of user/alice is 6 GPUs: it never starts.",
             "Lower --gpus to 6, or have the quota raised.");
}

TEST_F(Explained, AQuotaOfJobs) {
  builder.AddNodes(1, 8);
  builder.SetQuota("user/alice", 0, 1);
  builder.RunOn("t1", 1);
  ExpectSaid(builder.WhyDry(Gang(1, 1)), Explanation::QUOTA,
             "The quota of user/alice is 1 job at once, and 1 runs or comes first.",
             "Wait until others of user/alice end.");
}

TEST_F(Explained, AnArrayThatRunsAsManyAsItMay) {
  builder.AddNodes(1, 8);
  JobSpec spec = Gang(1, 1);
  spec.set_array_running(1);
  for (int i = 0; i < 2; ++i) builder.job(builder.Submit(spec)).set_array(1);
  builder.Follow(builder.Pass());
  const Explanation said = builder.Why(2);
  ExpectSaid(said, Explanation::WAITING, "Of its array 1 job may run at once");
  EXPECT_THAT(said.waits_for(), ElementsAre(1));
}

TEST_F(Explained, MoreThanTheWholeFleetHolds) {
  builder.AddNodes(4, 8);
  builder.RunOn("t1", 8);
  builder.cluster.nodes.at("t2").set_draining(true);
  ExpectSaid(builder.WhyDry(Gang(64, 1)), Explanation::NEVER_FITS,
             "It asks for 64 ranks of 1 GPU and 1 core; the 4 nodes that it may use together hold "
             "32 ranks even when empty.",
             "Lower --gpus to 32.");
}

TEST_F(Explained, MoreForOneRankThanAnyNodeHas) {
  builder.AddNodes(4, 8);
  ExpectSaid(builder.WhyDry(Gang(1, 16)), Explanation::NEVER_FITS,
             "a rank takes 16 GPUs, and no node that it may use has more than 8.",
             "Ask for at most 8 GPUs a rank.");
  JobSpec memory = Gang(1, 1);
  memory.mutable_roles(0)->mutable_per_rank()->set_memory_bytes(2048 * kGiB);
  ExpectSaid(builder.WhyDry(memory), Explanation::NEVER_FITS,
             "a rank takes 2 TiB of memory, and no node that it may use has more than 1 TiB.");
  JobSpec cores = Gang(1, 0);
  cores.mutable_roles(0)->mutable_per_rank()->set_cpu_millis(999'500);
  ExpectSaid(builder.WhyDry(cores), Explanation::NEVER_FITS, "a rank takes 999.5 cores");
}

TEST_F(Explained, CpuRanksAreNamedRanks) {
  builder.AddNodes(1, 0);
  ExpectSaid(builder.WhyDry(Gang(20, 0)), Explanation::NEVER_FITS,
             "the one node that it may use holds 16 ranks even when empty.",
             "Lower --ranks to 16.");
}

TEST_F(Explained, LabelsThatNoNodeHas) {
  builder.AddNodes(2, 8);
  JobSpec spec = Gang(1, 1);
  (*spec.mutable_node_labels())["gpu"] = "h100";
  ExpectSaid(builder.WhyDry(spec), Explanation::NEVER_FITS, "none of the 2 nodes has gpu=h100.",
             "Ask for other labels.");
}

TEST_F(Explained, ExclusionOfAllNodes) {
  builder.AddNodes(1, 8);
  JobSpec spec = Gang(1, 1);
  spec.add_excluded_nodes("t1");
  ExpectSaid(builder.WhyDry(spec), Explanation::NEVER_FITS, "it excludes every node.");
  (*spec.mutable_node_labels())["gpu"] = "h100";
  (*builder.cluster.nodes.at("t1").mutable_labels())["gpu"] = "h100";
  ExpectSaid(builder.WhyDry(spec), Explanation::NEVER_FITS,
             "it excludes every node that has gpu=h100.");
}

TEST_F(Explained, AClusterWithoutNodes) {
  ExpectSaid(builder.WhyDry(Gang(1, 1)), Explanation::NEVER_FITS, "no node has joined",
             "Start an agent on a machine.");
}

TEST_F(Explained, RolesThatDontGoTogether) {
  builder.AddNodes(1, 8);
  JobSpec spec = Gang(6, 1);
  Role& rollout = *spec.add_roles();
  rollout.set_name("rollout");
  rollout.set_ranks(4);
  rollout.mutable_per_rank()->set_gpus(1);
  ExpectSaid(builder.WhyDry(spec), Explanation::NEVER_FITS, "can't hold all its roles at once",
             "Lower the ranks of rollout to 2.");
}

TEST_F(Explained, NodesThatTakeNoWork) {
  builder.AddNodes(4, 8);
  builder.cluster.nodes.at("t3").set_draining(true);
  builder.cluster.nodes.at("t3").set_drain_reason("new disk");
  builder.cluster.nodes.at("t4").set_state(Node::SILENT);
  ExpectSaid(builder.WhyDry(Gang(24, 1)), Explanation::DRAINED,
             "it would fit if t3 (draining: new disk) and t4 (silent) took work.",
             "Take the node back (tanren admin resume t3), or lower --gpus to 16.");
}

TEST_F(Explained, PiecesThatDontMakeAWhole) {
  builder.AddNodes(2, 8);
  builder.RunOn("t1", 5);
  builder.RunOn("t2", 3);
  ExpectSaid(builder.WhyDry(Gang(1, 8)), Explanation::FRAGMENTED,
             "8 GPUs and 248 cores are free, but not together: at most 5 GPUs and 125 cores on one "
             "node;");
  ExpectSaid(builder.WhyDry(Gang(3, 2)), Explanation::STARTS_NOW, "");
  ExpectSaid(builder.WhyDry(Gang(4, 2)), Explanation::FRAGMENTED,
             "at most 5 on one node, and there is room for 3 of its 4 ranks",
             "Lower its ranks to 3 (6 GPUs).");
}

TEST_F(Explained, WaitingForWhatRuns) {
  builder.AddNodes(2, 8);
  const uint64_t first = builder.RunOn("t1", 8, WithLimit(kHour, Gang(8, 1)));
  builder.RunOn("t2", 6, WithLimit(2 * kHour, Gang(6, 1)));
  builder.Wait(15 * kMinute);
  const Explanation said = builder.Why(builder.Submit(Gang(8, 1)));
  ExpectSaid(said, Explanation::WAITING,
             "It asks for 8 ranks of 1 GPU and 1 core; 2 GPUs and 242 cores are free; it is next "
             "in line, and waits for job 1; it starts in about 45 min.",
             "Lower --gpus to 2.");
  EXPECT_THAT(said.waits_for(), ElementsAre(first));
  EXPECT_EQ(said.estimated_start_ms(), kStart + kHour);
}

TEST_F(Explained, WaitingForWhatRunsWithoutALimit) {
  builder.AddNodes(1, 8);
  builder.RunOn("t1", 8);
  const Explanation said = builder.Why(builder.Submit(Gang(8, 1)));
  ExpectSaid(said, Explanation::WAITING,
             "waits for job 1; when it starts isn't known, because job 1 has no time limit.");
  EXPECT_EQ(said.estimated_start_ms(), 0);
  const Explanation next = builder.WhyDry(Gang(4, 1));
  ExpectSaid(next, Explanation::WAITING,
             "job 2 comes first; when it starts isn't known, because job 1 has no time limit.");
}

TEST_F(Explained, WaitingBecauseRoomIsKept) {
  builder.AddNodes(1, 8);
  builder.RunOn("t1", 4, WithLimit(kHour, Gang(4, 1)));
  JobSpec first = WithLimit(kHour, Gang(8, 1));
  first.set_priority(1);
  const uint64_t head = builder.Submit(first);
  const Explanation said = builder.Why(builder.Submit(Gang(4, 1)));
  ExpectSaid(said, Explanation::WAITING,
             "4 GPUs and 124 cores are free, but kept for job 2, which comes first; it starts in "
             "about 2 h.",
             "A --time-limit of at most 60m lets it start now.");
  EXPECT_THAT(said.waits_for(), ElementsAre(head));
  EXPECT_EQ(said.estimated_start_ms(), kStart + 2 * kHour);
}

TEST_F(Explained, WaitingForThoseThatGiveWay) {
  builder.AddNodes(1, 8);
  JobSpec low = Gang(8, 1);
  low.set_preemptible(true);
  builder.RunOn("t1", 8, low);
  JobSpec high = Gang(8, 1);
  high.set_priority(1);
  const uint64_t urgent = builder.Submit(high);
  ExpectSaid(builder.Why(urgent), Explanation::WAITING, "job 1 of lower priority gives way to it.");
  builder.Follow(builder.Pass());
  ExpectSaid(builder.Why(urgent), Explanation::WAITING, "it starts when job 1 has been stopped.");
}

TEST_F(Explained, ABackOff) {
  builder.AddNodes(1, 8);
  const uint64_t job = builder.Submit(Gang(1, 1));
  builder.job(job).set_not_before_ms(kStart + 90'000);
  builder.job(job).set_failures(2);
  const Explanation said = builder.Why(job);
  ExpectSaid(said, Explanation::BACK_OFF,
             "Its last attempt failed (2 failures since the last checkpoint); the next one may "
             "begin in 2 min.");
  EXPECT_EQ(said.estimated_start_ms(), kStart + 90'000);
  builder.job(job).mutable_attempt()->mutable_end()->set_message("node t1 doesn't reach node t2");
  ExpectSaid(builder.Why(job), Explanation::BACK_OFF,
             "begin in 2 min. How it ended: node t1 doesn't reach node t2.");
}

TEST_F(Explained, ABackOffWhileThereIsNoRoomEither) {
  builder.AddNodes(1, 8);
  builder.RunOn("t1", 8);
  const uint64_t job = builder.Submit(Gang(1, 1));
  builder.job(job).set_not_before_ms(kStart + 90'000);
  ExpectSaid(builder.Why(job), Explanation::WAITING, "waits for job 1");
}

TEST_F(Explained, AJobThatStarts) {
  builder.AddNodes(1, 8);
  ExpectSaid(builder.WhyDry(Gang(8, 1)), Explanation::STARTS_NOW, "it starts now.");
}

TEST_F(Explained, JobsThatRunOrHaveEnded) {
  builder.AddNodes(1, 8);
  const uint64_t job = builder.RunOn("t1", 8);
  builder.Wait(kMinute);
  ExpectSaid(builder.Why(job), Explanation::RUNS, "It is running on t1, for 1 min.");
  builder.Stop(job);
  ExpectSaid(builder.Why(job), Explanation::RUNS, "It is being stopped on t1 (preempted).");
  builder.End(job, FAILED);
  builder.job(job).set_end_message("the disk is full");
  ExpectSaid(builder.Why(job), Explanation::ENDED, "It failed: the disk is full.");
  builder.job(job).set_state(CANCELLED);
  builder.job(job).set_end_message("cancelled by bea");
  ExpectSaid(builder.Why(job), Explanation::ENDED, "It was cancelled by bea.");
}

TEST_F(Explained, ASlurmJobWithoutASlurmCluster) {
  builder.AddNodes(1, 8);
  JobSpec spec = Gang(1, 1);
  spec.set_launcher("slurm");
  ExpectSaid(builder.WhyDry(spec), Explanation::NEVER_FITS, "no node that it may use stands for");
  builder.AddNode("s1", 0).set_launcher("slurm");
  ExpectSaid(builder.WhyDry(spec), Explanation::STARTS_NOW, "it starts now");
  builder.cluster.nodes.at("s1").set_draining(true);
  ExpectSaid(builder.WhyDry(spec), Explanation::DRAINED, "s1 (draining)");
}

TEST(Words, NumbersReadAsPeopleWriteThem) {
  EXPECT_EQ(DurationText(0), "0 s");
  EXPECT_EQ(DurationText(59'001), "1 min");
  EXPECT_EQ(DurationText(3 * kHour + 20 * kMinute), "3 h 20 min");
  EXPECT_EQ(DurationText(52 * kHour), "2 d 4 h");
  EXPECT_EQ(CoresText(1000), "1 core");
  EXPECT_EQ(CoresText(2500), "2.5 cores");
  EXPECT_EQ(MemoryText(1536 * kGiB), "1.5 TiB");
  EXPECT_EQ(JobsText({3}), "job 3");
  EXPECT_EQ(JobsText({3, 5, 9}), "jobs 3, 5 and 9");
  EXPECT_EQ(JobsText({1, 2, 3, 4, 5, 6, 7}), "jobs 1, 2, 3, 4, 5 and 2 others");
}

}  // namespace
}  // namespace tanren::coordinator
