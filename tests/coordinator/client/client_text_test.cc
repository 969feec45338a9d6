#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

#include "coordinator/client/endpoint.h"
#include "coordinator/client/event_text.h"
#include "coordinator/client/job_options.h"
#include "coordinator/client/job_text.h"
#include "coordinator/client/json_text.h"
#include "coordinator/client/node_text.h"
#include "coordinator/client/quantities.h"
#include "coordinator/client/table.h"
#include "coordinator/wire/token_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "tests/coordinator/client/fake_coordinator.h"

namespace tanren::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

TEST(Nodes, AreShownWithACertificateThatEndsSoon) {
  constexpr int64_t kDayMs = 24LL * 3600 * 1000;
  const int64_t now = 1'800'000'000'000;
  Node node;
  node.set_state(Node::UP);
  EXPECT_EQ(NodeStateText(node, now), "up");
  node.set_certificate_expires_ms(now + 40 * kDayMs);
  EXPECT_EQ(NodeStateText(node, now), "up");
  EXPECT_EQ(NodeStateText(node, now + 28 * kDayMs), "up, its certificate ends in 12 days");
  EXPECT_EQ(NodeStateText(node, now + 40 * kDayMs), "up, its certificate has ended");

  StatusReply status;
  EXPECT_THAT(DescribeStatus(status, "head:7411", now), ::testing::Not(HasSubstr("certificate")));
  status.set_agent_certificate_expires_ms(now + 12 * kDayMs);
  status.set_agent_certificate_node("t3");
  EXPECT_THAT(DescribeStatus(status, "head:7411", now),
              HasSubstr("agents       the first of their certificates, t3's, ends in 12 days\n"));
}

TEST(Quantities, DurationsAreReadAsPeopleWriteThem) {
  EXPECT_EQ(ParseDuration("90s").value(), 90'000);
  EXPECT_EQ(ParseDuration("1h30m").value(), 5'400'000);
  EXPECT_EQ(ParseDuration("0.5d").value(), 43'200'000);
  for (const char* wrong : {"", "90", "h", "1x", "-1h", "1h30", "99999999999d", "1e3s"}) {
    EXPECT_THAT(MessageOf(ParseDuration(wrong).status()), HasSubstr("expected a time like"))
        << wrong;
  }
}

TEST(Quantities, TimesAreReadAsAgesOrAsRfc3339) {
  constexpr int64_t kNow = 1'795'000'000'000;
  EXPECT_EQ(ParseTimeOrAge("10m", kNow).value(), kNow - 600'000);
  EXPECT_EQ(ParseTimeOrAge("1970-01-01T00:00:01Z", kNow).value(), 1'000);
  EXPECT_EQ(ParseTimeOrAge("2026-11-26T05:41:36.5Z", kNow).value(), 1'795'671'696'500);
  EXPECT_EQ(ParseTimeOrAge("2026-11-26T06:41:36+01:00", kNow).value(), 1'795'671'696'000);
  for (const char* wrong : {"", "yesterday", "2026-11-26", "2026-11-26T05:41:36", "12:00Z",
                            "infinite-future", "4096"}) {
    EXPECT_THAT(MessageOf(ParseTimeOrAge(wrong, kNow).status()), HasSubstr("10m or 2h")) << wrong;
  }
}

TEST(Quantities, SizesAreReadAsPeopleWriteThem) {
  EXPECT_EQ(ParseBytes("512MiB").value(), int64_t{512} << 20);
  EXPECT_EQ(ParseBytes("1.5G").value(), int64_t{3} << 29);
  for (const char* wrong : {"", "16", "GiB", "1Gx", "-1G", "99999P"}) {
    EXPECT_THAT(MessageOf(ParseBytes(wrong).status()), HasSubstr("expected a size like")) << wrong;
  }
}

TEST(Table, AlignsAndLeavesOutWhatIsEmpty) {
  Table table({">JOB", "NAME", "EMPTY", ">LOSS"});
  table.Add({"7", "größe", "", "1.5"});
  table.Add({"12", "b\x1b[2J", "", "10"});
  EXPECT_EQ(table.Render(), "JOB  NAME      LOSS\n  7  größe      1.5\n 12  b\\x1b[2J    10\n");
  EXPECT_EQ(table.Render(6), "JOB  N\n  7  g\n 12  b\n");
}

TEST(JsonText, NumbersAreNumbersAndNamesAreTheSchemas) {
  Job job;
  job.set_id(uint64_t{1} << 60);
  job.set_state(UNKNOWN);
  (*job.mutable_spec()->mutable_environment())["B"] = "\xff";
  (*job.mutable_spec()->mutable_environment())["A"] = "1";
  const auto json = nlohmann::json::parse(JsonLine(job));
  EXPECT_EQ(json["id"], uint64_t{1} << 60);
  EXPECT_EQ(json["state"], "unknown");
  EXPECT_EQ(json["spec"]["environment"]["A"], "1");
  EXPECT_EQ(json["attempts"], 0);
  EXPECT_FALSE(json.contains("attempt"));
  EXPECT_FALSE(json["spec"].contains("recipe"));
}

TEST(EventText, EveryKindHasWords) {
  const auto& kinds = *HistoryEvent::descriptor()->FindOneofByName("kind");
  for (int i = 0; i < kinds.field_count(); ++i) {
    HistoryEvent event;
    event.GetReflection()->MutableMessage(&event, kinds.field(i));
    EXPECT_THAT(EventText(event, 0), ::testing::Not(HasSubstr("doesn't know")))
        << kinds.field(i)->name();
  }
}

// ---- Jobs
// ----------------------------------------------------------------------------------------

class JobOptionsTest : public ::testing::Test {
 protected:
  // Words of the command line, without the program's.
  absl::StatusOr<JobSpec> Made(std::vector<std::string> words) {
    CLI::App app;
    JobOptions options;
    options.recipe = (folder_.path() / "recipe.yaml").string();
    AddJobOptions(app, options);
    std::reverse(words.begin(), words.end());
    app.parse(words);
    return MakeJobSpec(
        options, [this](const std::string& name) { return environment_[name]; }, "/work");
  }
  void WriteRecipe(const std::string& text) {
    std::ofstream(folder_.path() / "recipe.yaml") << text;
  }
  void SetUp() override {
    WriteRecipe(
        "name: tiny\nmodel: {path: m}\ndata: {sources: [{path: a.jsonl}]}\n"
        "training: {steps: 3, threads: 2}\n");
  }

  TestFolder folder_;
  std::map<std::string, std::string> environment_;
};

TEST_F(JobOptionsTest, ARecipeIsResolvedHereWithAbsolutePaths) {
  const JobSpec spec = ValueOrThrow(Made({}));
  EXPECT_EQ(spec.name(), "tiny");
  EXPECT_THAT(spec.recipe().recipe(), HasSubstr((folder_.path() / "a.jsonl").string()));
  EXPECT_EQ(spec.folder(), "/work/runs");
  ASSERT_EQ(spec.roles_size(), 1);
  EXPECT_EQ(spec.roles(0).ranks(), 1);
  EXPECT_EQ(spec.roles(0).per_rank().cpu_millis(), 2000);  // as many as it has threads
}

TEST_F(JobOptionsTest, AMistakeInARecipeNamesItsPlace) {
  WriteRecipe("name: tiny\ntraining: {stepz: 3}\n");
  EXPECT_THAT(MessageOf(Made({}).status()), HasSubstr("recipe.yaml:2:"));
}

TEST_F(JobOptionsTest, GpusAreSharedByRanks) {
  const JobSpec one_each = ValueOrThrow(Made({"--gpus", "4"}));
  EXPECT_EQ(one_each.roles(0).ranks(), 4);
  EXPECT_EQ(one_each.roles(0).per_rank().gpus(), 1);
  const JobSpec two_each = ValueOrThrow(Made({"--gpus", "4", "--ranks", "2"}));
  EXPECT_EQ(two_each.roles(0).ranks(), 2);
  EXPECT_EQ(two_each.roles(0).per_rank().gpus(), 2);
  EXPECT_THAT(MessageOf(Made({"--gpus", "4", "--ranks", "3"}).status()),
              HasSubstr("can't be shared evenly"));
}

TEST_F(JobOptionsTest, RolesMakeAGang) {
  const JobSpec spec = ValueOrThrow(Made({"--role", "name=trainer,ranks=4,gpus=1,memory=16GiB",
                                          "--role", "name=teacher,cpus=0.5,per-node=1"}));
  ASSERT_EQ(spec.roles_size(), 2);
  EXPECT_EQ(spec.roles(0).per_rank().memory_bytes(), int64_t{16} << 30);
  EXPECT_EQ(spec.roles(1).ranks(), 1);
  EXPECT_EQ(spec.roles(1).per_rank().cpu_millis(), 500);
  EXPECT_EQ(spec.roles(1).max_ranks_per_node(), 1);
  EXPECT_THAT(MessageOf(Made({"--role", "name=a,rank=2"}).status()),
              HasSubstr("unknown key \"rank\", expected name, ranks"));
}

TEST_F(JobOptionsTest, WhatIsAskedForStandsInTheJob) {
  environment_["HF_HOME"] = "/data/hf";
  const JobSpec spec = ValueOrThrow(Made({"--name",
                                          "n",
                                          "--priority",
                                          "-3",
                                          "--time-limit",
                                          "2h",
                                          "--after",
                                          "1,2",
                                          "--after-success",
                                          "3",
                                          "--hold",
                                          "--retries",
                                          "0",
                                          "--env",
                                          "A=b=c",
                                          "--env",
                                          "HF_HOME",
                                          "--label",
                                          "disk=fast",
                                          "--slurm",
                                          "partition=gpu",
                                          "--array",
                                          "5"}));
  EXPECT_EQ(spec.name(), "n");
  EXPECT_EQ(spec.priority(), -3);
  EXPECT_EQ(spec.time_limit_ms(), 7'200'000);
  ASSERT_EQ(spec.dependencies_size(), 3);
  EXPECT_EQ(spec.dependencies(1).job(), 2u);
  EXPECT_EQ(spec.dependencies(1).kind(), Dependency::AFTER_END);
  EXPECT_EQ(spec.dependencies(2).kind(), Dependency::AFTER_SUCCESS);
  EXPECT_TRUE(spec.held());
  EXPECT_EQ(spec.restart().retries(), -1);  // 0 would be the coordinator's choice
  EXPECT_EQ(spec.environment().at("A"), "b=c");
  EXPECT_EQ(spec.environment().at("HF_HOME"), "/data/hf");
  EXPECT_EQ(spec.node_labels().at("disk"), "fast");
  EXPECT_EQ(spec.slurm().at("partition"), "gpu");
  EXPECT_EQ(spec.array_size(), 5);
}

TEST_F(JobOptionsTest, ProgramsAreNamedByTheirPath) {
  JobOptions options;
  options.argv = {"sh", "-c", "exit 3"};
  const JobSpec spec = ValueOrThrow(MakeJobSpec(options, OwnEnvironment, "/work"));
  EXPECT_THAT(spec.command().argv(), ElementsAre(::testing::EndsWith("/sh"), "-c", "exit 3"));
  EXPECT_EQ(spec.name(), "sh");
  options.argv = {"no-such-program-here"};
  EXPECT_THAT(MessageOf(MakeJobSpec(options, OwnEnvironment, "/work").status()),
              HasSubstr("no-such-program-here: no such program in PATH"));
}

// ---- Which coordinator
// ---------------------------------------------------------------------------

class EndpointTest : public ::testing::Test {
 protected:
  absl::StatusOr<Endpoint> Found(const EndpointOptions& options = {}) {
    environment_["HOME"] = folder_.path();
    return FindEndpoint(options, [this](const std::string& name) { return environment_[name]; });
  }
  void WriteSettings(const std::string& text) {
    std::filesystem::create_directories(folder_.path() / ".config/tanren");
    std::ofstream(folder_.path() / ".config/tanren/client.yaml") << text;
  }
  void PutUp() {
    const auto up = folder_.path() / ".local/state/tanren/up";
    std::filesystem::create_directories(up);
    std::ofstream(up / "endpoint") << "127.0.0.1:5000\n";
    std::ofstream(up / "admin.token") << "tnr_a_b\n";
  }

  TestFolder folder_;
  std::map<std::string, std::string> environment_;
};

TEST_F(EndpointTest, TheCommandLineComesBeforeTheEnvironmentTheFileAndUp) {
  PutUp();
  EXPECT_EQ(ValueOrThrow(Found()).address, "127.0.0.1:5000");
  WriteSettings("address: file:1\ntoken_file: tokens/me\n");
  EXPECT_EQ(ValueOrThrow(Found()).address, "file:1");
  EXPECT_EQ(ValueOrThrow(Found()).token_file, folder_.path() / ".config/tanren/tokens/me");
  environment_["TANREN_COORDINATOR"] = "environment:1";
  EXPECT_EQ(ValueOrThrow(Found()).address, "environment:1");
  EndpointOptions options;
  options.address = "option:1";
  EXPECT_EQ(ValueOrThrow(Found(options)).address, "option:1");
}

TEST_F(EndpointTest, WithoutAnyItSaysHowToStartOne) {
  EXPECT_THAT(MessageOf(Found().status()), HasSubstr("`tanren up`"));
}

TEST_F(EndpointTest, AMistakeInTheFileNamesItsPlace) {
  WriteSettings("adress: file:1\n");
  EXPECT_THAT(MessageOf(Found().status()), HasSubstr("client.yaml:1:1: unknown key"));
}

TEST_F(EndpointTest, ATokenThatOthersMayReadIsRefused) {
  std::filesystem::permissions(folder_.path() / "token", std::filesystem::perms(0640));
  EXPECT_THAT(MessageOf(ReadToken(folder_.path() / "token").status()), HasSubstr("chmod 600"));
}

TEST_F(EndpointTest, ATokenIsNotSentToAnotherMachineInTheClear) {
  EXPECT_THAT(MessageOf(Channel::Open(folder_.EndpointAt("10.0.0.1:7411")).status()),
              HasSubstr("--ca"));
}

}  // namespace
}  // namespace tanren::coordinator
