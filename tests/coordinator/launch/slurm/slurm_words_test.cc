// Readers of what Slurm says.
#include "coordinator/launch/slurm/slurm_allocation.h"
#include "coordinator/launch/slurm/slurm_client.h"
#include "coordinator/launch/slurm/slurm_command.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tanren::coordinator {
namespace {

using testing::ElementsAre;

TEST(SlurmWords, AnIdIsANumberWithOrWithoutItsCluster) {
  EXPECT_EQ(*ParseSbatch("123\n"), "123");
  EXPECT_EQ(*ParseSbatch("123;north\n"), "123");
  for (const char* text : {"", "Submitted batch job 12", "-1", "12 13", "1.5"}) {
    EXPECT_FALSE(ParseSbatch(text).ok()) << text;
  }
}

TEST(SlurmWords, SqueuesLinesAreReadStrictly) {
  const auto jobs = ParseSqueue("7|PENDING|1000|n|c|(Resources|Priority)\n8|RUNNING|0|n||None\n");
  ASSERT_TRUE(jobs.ok()) << jobs.status();
  ASSERT_EQ(jobs->size(), 2);
  EXPECT_EQ((*jobs)[0].reason, "(Resources|Priority)");
  EXPECT_EQ((*jobs)[0].user, 1000);
  EXPECT_EQ((*jobs)[1].state, "RUNNING");
  EXPECT_TRUE(ParseSqueue("")->empty());
  for (const char* text : {"7|PENDING|0|n|c", "x|PENDING|0|n|c|r", "7|pending|0|n|c|r",
                           "7|PENDING|root|n|c|r", "slurm: error"}) {
    EXPECT_FALSE(ParseSqueue(text).ok()) << text;
  }
}

TEST(SlurmWords, AccountingTellsStateAndCode) {
  const auto account = ParseSacct("7|CANCELLED by 1000|0:15\n");
  ASSERT_TRUE(account.ok() && account->has_value());
  EXPECT_EQ((*account)->state, "CANCELLED");
  EXPECT_EQ((*account)->signal, 15);
  EXPECT_FALSE(ParseSacct("")->has_value());
  EXPECT_FALSE(ParseSacct("7|FAILED|x").ok());
}

TEST(SlurmWords, ARefusalIsToldFromAControllerThatIsAway) {
  const std::string failed = "sbatch: error: Batch job submission failed: ";
  EXPECT_TRUE(absl::IsInvalidArgument(SubmissionError(failed + "Invalid account")));
  EXPECT_TRUE(absl::IsUnavailable(
      SubmissionError(failed + "Unable to contact slurm controller (connect failure)")));
  EXPECT_TRUE(absl::IsUnavailable(
      SubmissionError(failed + "Slurm temporarily unable to accept job, sleeping and retrying")));
  EXPECT_TRUE(absl::IsResourceExhausted(
      SubmissionError(failed + "Job violates accounting/QOS policy (job submit limit, …)")));
}

TEST(SlurmWords, AnAllocationIsSpreadOverItsNodes) {
  EXPECT_THAT(*ParseTasksPerNode("2(x3),1"), ElementsAre(2, 2, 2, 1));
  EXPECT_THAT(*ParseNodeList("t[1-2,7],login"), ElementsAre("t1", "t2", "t7", "login"));
  EXPECT_THAT(*ParseNodeList("gpu[08-11]-ib"),
              ElementsAre("gpu08-ib", "gpu09-ib", "gpu10-ib", "gpu11-ib"));
  for (const char* text : {"t[1-", "t[2-1]", "t[x]", "t[1][2]", "", "t[1-999999]"}) {
    EXPECT_FALSE(ParseNodeList(text).ok()) << text;
  }
  for (const char* text : {"", "x", "2(x", "2(x2", "2(x9999999)"}) {
    EXPECT_FALSE(ParseTasksPerNode(text).ok()) << text;
  }
  const auto allocation = ParseAllocation("t[1-3]", "2(x2),1");
  ASSERT_TRUE(allocation.ok());
  EXPECT_EQ(*HostsOf(*allocation, 0, 3), "t1:2,t2:1");
  EXPECT_EQ(*HostsOf(*allocation, 3, 2), "t2:1,t3:1");
  EXPECT_FALSE(HostsOf(*allocation, 3, 3).ok());
  EXPECT_EQ(TasksOn(*allocation, "t2", 0, 3), 1);
  EXPECT_EQ(TasksOn(*allocation, "t2", 3, 2), 1);
  EXPECT_EQ(TasksOn(*allocation, "t3", 0, 3), 0);
}

TEST(SlurmCommand, IsBoundedInTimeAndOutputAndReadByNoShell) {
  EXPECT_EQ(RunCommand({"/bin/echo", "$HOME `id`"}, {}, 5'000)->output, "$HOME `id`\n");
  EXPECT_EQ(RunCommand({"/bin/sh", "-c", "exit 3"}, {}, 5'000)->exit_code, 3);
  EXPECT_EQ(RunCommand({"/usr/bin/env"}, {"A=b"}, 5'000)->output, "A=b\n");
  EXPECT_TRUE(absl::IsDeadlineExceeded(RunCommand({"/bin/sleep", "9"}, {}, 100).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(
      RunCommand({"/usr/bin/yes"}, {"PATH=/usr/bin"}, 5'000, 10'000).status()));
  EXPECT_TRUE(absl::IsNotFound(RunCommand({"/no/such/program"}, {}, 100).status()));
}

}  // namespace
}  // namespace tanren::coordinator
