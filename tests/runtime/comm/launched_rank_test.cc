#include "runtime/comm/launched_rank.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace tanren::comm {
namespace {

using ::testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

Environment Of(const Variables& variables) {
  return [&variables](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

absl::StatusOr<std::optional<LaunchedRank>> From(const Variables& variables) {
  return RankFromEnvironment(Of(variables));
}

std::string ErrorFrom(const Variables& variables) {
  const auto launched = From(variables);
  EXPECT_TRUE(absl::IsInvalidArgument(launched.status())) << launched.status();
  return std::string(launched.status().message());
}

const Variables kMaster = {{"RANK", "3"},
                           {"WORLD_SIZE", "8"},
                           {"LOCAL_RANK", "1"},
                           {"MASTER_ADDR", "10.0.0.7"},
                           {"MASTER_PORT", "29500"}};
const Variables kSlurm = {{"SLURM_PROCID", "5"},    {"SLURM_NTASKS", "16"},
                          {"SLURM_LOCALID", "1"},   {"SLURM_STEP_ID", "0"},
                          {"SLURM_JOB_ID", "4711"}, {"SLURM_JOB_NODELIST", "gpu[03-07,9]"}};

Variables Without(Variables variables, const std::string& name) {
  variables.erase(name);
  return variables;
}
Variables With(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

TEST(RankFromEnvironment, TakesWhatTorchrunLikeLaunchersSay) {
  const auto launched = From(kMaster);
  ASSERT_TRUE(launched.ok() && launched->has_value()) << launched.status();
  const LaunchedRank& rank = **launched;
  EXPECT_EQ(rank.rank, 3);
  EXPECT_EQ(rank.size, 8);
  EXPECT_EQ(rank.local_rank, 1);
  EXPECT_EQ(rank.host, "10.0.0.7");
  EXPECT_EQ(rank.port, 29500);
}

TEST(RankFromEnvironment, TakesWhatSrunSays) {
  const auto launched = From(kSlurm);
  ASSERT_TRUE(launched.ok() && launched->has_value()) << launched.status();
  const LaunchedRank& rank = **launched;
  EXPECT_EQ(rank.rank, 5);
  EXPECT_EQ(rank.size, 16);
  EXPECT_EQ(rank.local_rank, 1);
  EXPECT_EQ(rank.host, "gpu03");
  EXPECT_EQ(rank.job, "slurm 4711.0");
  EXPECT_GE(rank.port, 20000);
  EXPECT_LT(rank.port, 32768);
  // A step has fewer ranks, and perhaps other hosts, than its job; it has a port of its own.
  const auto step =
      From(With(With(With(kSlurm, "SLURM_STEP_NUM_TASKS", "8"), "SLURM_STEP_NODELIST", "gpu9"),
                "SLURM_STEP_ID", "1"));
  EXPECT_EQ((*step)->size, 8);
  EXPECT_EQ((*step)->host, "gpu9");
  EXPECT_NE((*step)->port, rank.port);
}

TEST(RankFromEnvironment, ABatchScriptAndAPlainShellAreNoRanks) {
  EXPECT_EQ(From({})->has_value(), false);
  EXPECT_EQ(From(Without(kSlurm, "SLURM_STEP_ID"))->has_value(), false);
}

TEST(RankFromEnvironment, OneRankNeedsNoMeetingPoint) {
  const auto launched = From({{"RANK", "0"}, {"WORLD_SIZE", "1"}});
  ASSERT_TRUE(launched.ok()) << launched.status();
  EXPECT_EQ((*launched)->size, 1);
}

TEST(RankFromEnvironment, NamesTheVariableThatIsWrong) {
  EXPECT_THAT(ErrorFrom(With(kMaster, "RANK", "8")),
              HasSubstr("RANK is '8', expected a number from 0 to 7"));
  EXPECT_THAT(ErrorFrom(With(kMaster, "WORLD_SIZE", "8x")), HasSubstr("WORLD_SIZE is '8x'"));
  EXPECT_THAT(ErrorFrom(With(kMaster, "WORLD_SIZE", "-2")), HasSubstr("WORLD_SIZE is '-2'"));
  EXPECT_THAT(ErrorFrom(With(kMaster, "WORLD_SIZE", "99999999999999999999")),
              HasSubstr("WORLD_SIZE"));
  EXPECT_THAT(ErrorFrom(Without(kMaster, "MASTER_ADDR")), HasSubstr("MASTER_ADDR"));
  EXPECT_THAT(ErrorFrom(With(kMaster, "MASTER_PORT", "65536")), HasSubstr("MASTER_PORT"));
  EXPECT_THAT(ErrorFrom(With(kSlurm, "SLURM_JOB_NODELIST", "gpu[03")),
              HasSubstr("SLURM_JOB_NODELIST: 'gpu[03' is not a list of hosts"));
  EXPECT_THAT(ErrorFrom(Without(kSlurm, "SLURM_JOB_ID")), HasSubstr("SLURM_JOB_ID"));
}

TEST(GlobalRank, IsWhatTheLauncherThatIsNearestSays) {
  EXPECT_EQ(GlobalRank(Of(kMaster)), 3);
  EXPECT_EQ(GlobalRank(Of(kSlurm)), 5);
  // mpirun inside a batch script, whose own number its ranks inherit.
  const Variables under_mpirun = With(kSlurm, "OMPI_COMM_WORLD_RANK", "7");
  EXPECT_EQ(GlobalRank(Of(under_mpirun)), 7);
  const Variables none;
  EXPECT_EQ(GlobalRank(Of(none)), 0);
}

TEST(FirstSlurmHost, UnpacksTheFirstOfEachRange) {
  const Variables table = {{"node", "node"},
                           {"a,b", "a"},
                           {"node[03-07,9]", "node03"},
                           {"node[9]", "node9"},
                           {"node[1,5-7],other", "node1"},
                           {"rack[1-2]node[3-4]-ib", "rack1node3-ib"},
                           {"10.0.0.1,10.0.0.2", "10.0.0.1"}};
  for (const auto& [list, first] : table) {
    const absl::StatusOr<std::string> found = FirstSlurmHost(list);
    ASSERT_TRUE(found.ok()) << list << found.status();
    EXPECT_EQ(*found, first) << list;
  }
  for (const char* bad : {"", ",a", "node[", "node[3", "node[]", "node]3", "node[-3]"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(FirstSlurmHost(bad).status())) << bad;
  }
}

}  // namespace
}  // namespace tanren::comm
