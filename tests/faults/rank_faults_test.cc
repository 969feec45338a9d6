// Real processes under mpirun, one of which fails. Whatever happens: the group ends within ten
// seconds, there is one message of ours, which names the rank, the collective and the unit, and no
// process is left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "fmt/format.h"
#include "runtime/telemetry/flight_explanation.h"
#include "runtime/telemetry/flight_recorder.h"

namespace tanren {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kTooLate = 124;  // what timeout(1) exits with

struct Outcome {
  int exit_code = 0;
  std::vector<std::string> messages;  // our lines, not mpirun's
  std::string output;
  std::vector<telemetry::FlightRecord> ranks;
};

Outcome RunUnder(const std::string& launcher, const std::string& kind) {
  const fs::path folder = fs::path(testing::TempDir()) / ("rank_faults_" + kind);
  fs::remove_all(folder);
  const std::string command = fmt::format("timeout --kill-after=5 10 {} {} {} {} 2>&1", launcher,
                                          TANREN_FAILING_RANK, kind, folder.string());
  Outcome outcome;
  FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 4096> line{};
  while (fgets(line.data(), line.size(), pipe) != nullptr) {
    outcome.output += line.data();
    if (std::string_view(line.data()).find("tanren: ") != std::string_view::npos) {
      outcome.messages.emplace_back(line.data());
    }
  }
  const int status = pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  // mpirun doesn't wait for ranks that it has killed: the system may still be clearing one away.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  bool all_gone = false;
  while (!all_gone && std::chrono::steady_clock::now() < deadline) {
    auto ranks = telemetry::ReadFlightRecords(folder / "flight");
    if (!ranks.ok()) break;
    outcome.ranks = *std::move(ranks);
    all_gone = std::all_of(outcome.ranks.begin(), outcome.ranks.end(),
                           [](const telemetry::FlightRecord& rank) { return rank.gone; });
    if (!all_gone) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return outcome;
}

Outcome RunThree(const std::string& kind) {
  Outcome outcome = RunUnder("mpirun --allow-run-as-root --oversubscribe -n 3", kind);
  EXPECT_NE(outcome.exit_code, kTooLate) << outcome.output;
  EXPECT_EQ(outcome.ranks.size(), 3u) << outcome.output;
  for (const telemetry::FlightRecord& rank : outcome.ranks) {
    EXPECT_TRUE(rank.gone) << "rank " << rank.rank << " was left behind";
  }
  return outcome;
}

TEST(RankFaults, ARankThatThrowsEndsAllWithItsReason) {
  const Outcome outcome = RunThree("throws");
  EXPECT_EQ(outcome.exit_code, 70) << outcome.output;
  EXPECT_THAT(outcome.messages,
              ElementsAre(HasSubstr("rank 1 failed after all-reduce #3 of 'model.layers.3' (step "
                                    "2): the loss is not finite")))
      << outcome.output;
}

TEST(RankFaults, ARankThatReturnsAnErrorEndsAllWithItsReason) {
  const Outcome outcome = RunThree("returns");
  EXPECT_EQ(outcome.exit_code, 70) << outcome.output;
  EXPECT_THAT(outcome.messages,
              ElementsAre(HasSubstr("rank 1 failed after all-reduce #3 of 'model.layers.3' (step "
                                    "2): data/train.jsonl: not there")))
      << outcome.output;
}

TEST(RankFaults, AKilledRankIsNamedAndEndsAll) {
  const Outcome outcome = RunThree("dies");
  EXPECT_NE(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.messages,
              ElementsAre(HasSubstr("rank 1 died without an exit record after all-reduce #3 of "
                                    "'model.layers.3' (step 2)")))
      << outcome.output;
}

TEST(RankFaults, ARankThatLeavesWithoutAWordIsNamedAndEndsAll) {
  const Outcome outcome = RunThree("exits");
  EXPECT_NE(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.messages,
              ElementsAre(HasSubstr("rank 1 died without an exit record after all-reduce #3")))
      << outcome.output;
}

TEST(RankFaults, ARankThatNeverComesIsNamedAndEndsAll) {
  const Outcome outcome = RunThree("hangs");
  EXPECT_NE(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.messages,
              ElementsAre(AllOf(HasSubstr("rank 1 never entered all-reduce #4 of 'model.layers.3' "
                                          "(step 3); rank 1 is after all-reduce #3"),
                                HasSubstr("ranks 0, 2 waited in the same call"))))
      << outcome.output;
}

TEST(RankFaults, ARunThatSavesOnSigusrOneExitsWithItsCodeAndNoMessage) {
  const Outcome outcome = RunThree("saves");
  EXPECT_EQ(outcome.exit_code, 75) << outcome.output;
  EXPECT_THAT(outcome.messages, ElementsAre());
}

TEST(RankFaults, ARunWithoutFaultsSaysNothing) {
  const Outcome outcome = RunThree("none");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_EQ(outcome.output, "");
  for (const telemetry::FlightRecord& rank : outcome.ranks) {
    EXPECT_EQ(rank.status, telemetry::RankStatus::kFinished);
  }
}

TEST(RankFaults, AProcessAloneIsAWorldOfOne) {
  const Outcome fine = RunUnder("env", "alone");
  EXPECT_EQ(fine.exit_code, 0) << fine.output;
  EXPECT_EQ(fine.output, "");
  ASSERT_EQ(fine.ranks.size(), 1u);
  EXPECT_EQ(fine.ranks[0].world_size, 1);
  EXPECT_EQ(fine.ranks[0].status, telemetry::RankStatus::kFinished);
}

}  // namespace
}  // namespace tanren
