#include "coordinator/launch/slurm/slurm_request.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tanren::coordinator {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

PartSpec Part() {
  PartSpec part;
  part.mutable_token()->set_epoch(3);
  part.mutable_token()->set_job(17);
  part.mutable_token()->set_attempt(2);
  part.mutable_spec()->set_folder("/shared/alice");
  Role& role = *part.mutable_spec()->add_roles();
  role.set_name("trainer");
  role.set_ranks(16);
  return part;
}

std::vector<std::string> OptionsOf(const PartSpec& part, SlurmRequestOptions request = {}) {
  const auto options = SbatchOptions(part, request);
  EXPECT_TRUE(options.ok()) << options.status();
  return options.ok() ? *options : std::vector<std::string>{};
}

TEST(SlurmRequest, RanksAndWhatEachNeedsBecomeTasks) {
  PartSpec part = Part();
  Role& role = *part.mutable_spec()->mutable_roles(0);
  role.set_max_ranks_per_node(8);
  role.mutable_per_rank()->set_gpus(1);
  role.mutable_per_rank()->set_cpu_millis(7500);
  role.mutable_per_rank()->set_memory_bytes(int64_t{16} << 30);
  const auto options = OptionsOf(part);
  EXPECT_THAT(options, Contains("--ntasks=16"));
  EXPECT_THAT(options, Contains("--ntasks-per-node=8"));
  EXPECT_THAT(options, Contains("--gpus-per-task=1"));
  EXPECT_THAT(options, Contains("--cpus-per-task=8"));
  EXPECT_THAT(options, Contains("--mem-per-cpu=2048M"));
}

TEST(SlurmRequest, RolesShareOneAllocationOfTasksThatFitEach) {
  PartSpec part = Part();
  part.mutable_spec()->mutable_roles(0)->mutable_per_rank()->set_cpu_millis(2000);
  Role& rollout = *part.mutable_spec()->add_roles();
  rollout.set_name("rollout");
  rollout.set_ranks(4);
  rollout.mutable_per_rank()->set_cpu_millis(4000);
  EXPECT_THAT(OptionsOf(part), Contains("--ntasks=20"));
  EXPECT_THAT(OptionsOf(part), Contains("--cpus-per-task=4"));
}

TEST(SlurmRequest, AttemptsOfOneJobShareANameAndDifferInTheirComment) {
  PartSpec first = Part(), second = Part(), elsewhere = Part();
  second.mutable_token()->set_attempt(3);
  elsewhere.mutable_spec()->set_folder("/shared/bob");
  EXPECT_EQ(SlurmJobName(first), SlurmJobName(second));
  EXPECT_NE(SlurmJobName(first), SlurmJobName(elsewhere));
  EXPECT_THAT(SlurmJobName(first), StartsWith("tanren-17-"));
  EXPECT_EQ(SlurmComment(first.token()), "tanren-3.17.2");
  EXPECT_THAT(OptionsOf(first), Contains("--dependency=singleton"));
  EXPECT_THAT(OptionsOf(first), Contains("--no-requeue"));
}

TEST(SlurmRequest, SlurmsLimitLeavesTimeToSave) {
  PartSpec part = Part();
  EXPECT_THAT(OptionsOf(part), Not(Contains(StartsWith("--time="))));
  EXPECT_THAT(OptionsOf(part), Contains("--signal=B:USR1@120"));
  part.mutable_spec()->set_time_limit_ms(60 * 60'000);
  EXPECT_THAT(OptionsOf(part), Contains("--time=63"));
}

TEST(SlurmRequest, AHigherPriorityIsNicer) {
  PartSpec part = Part();
  part.mutable_spec()->set_priority(-30);
  EXPECT_THAT(OptionsOf(part), Contains("--nice=30"));
  part.mutable_spec()->set_priority(30);
  EXPECT_THAT(OptionsOf(part), Contains("--nice=0")) << "only operators may go below";
  SlurmRequestOptions request;
  request.may_go_below_0 = true;
  EXPECT_THAT(OptionsOf(part, request), Contains("--nice=-30"));
  request = {};
  request.nice_of_priority_0 = 1000;
  EXPECT_THAT(OptionsOf(part, request), Contains("--nice=970"));
}

TEST(SlurmRequest, SlurmsOwnWordsArePassedOn) {
  PartSpec part = Part();
  auto& slurm = *part.mutable_spec()->mutable_slurm();
  slurm["partition"] = "gpu,long";
  slurm["constraint"] = "[rack1|rack2]&ib";
  slurm["gres"] = "gpu:a100:4";
  part.mutable_spec()->mutable_roles(0)->mutable_per_rank()->set_gpus(1);
  const auto options = OptionsOf(part);
  EXPECT_THAT(options, Contains("--partition=gpu,long"));
  EXPECT_THAT(options, Contains("--constraint=[rack1|rack2]&ib"));
  EXPECT_THAT(options, Contains("--gres=gpu:a100:4"));
  EXPECT_THAT(options, Not(Contains(StartsWith("--gpus-per-task")))) << "the GRES says it";
}

TEST(SlurmRequest, WhatSbatchCantBeGivenIsNamed) {
  const auto refusal = [](const std::string& key, const std::string& value) {
    PartSpec part = Part();
    (*part.mutable_spec()->mutable_slurm())[key] = value;
    return std::string(SbatchOptions(part, {}).status().message());
  };
  EXPECT_THAT(refusal("partitions", "gpu"), HasSubstr("unknown key \"partitions\""));
  for (const char* value : {"", "a b", "gpu;reboot", "$(id)", "a\nb", "-x", "a\"b"}) {
    EXPECT_THAT(refusal("partition", value), HasSubstr("slurm.partition")) << value;
  }
  EXPECT_EQ(refusal("partition", "gpu"), "");
  PartSpec part = Part();
  (*part.mutable_spec()->mutable_environment())["A=B"] = "x";
  EXPECT_FALSE(SbatchOptions(part, {}).ok());
  part = Part();
  part.mutable_spec()->mutable_roles(0)->set_name("../../x");
  EXPECT_FALSE(SbatchOptions(part, {}).ok());
  part = Part();
  part.mutable_spec()->set_folder("relative");
  EXPECT_FALSE(SbatchOptions(part, {}).ok());
}

}  // namespace
}  // namespace tanren::coordinator
