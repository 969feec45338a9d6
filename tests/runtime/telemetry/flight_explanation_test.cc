#include "runtime/telemetry/flight_explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fmt/format.h"
#include "runtime/base/file.h"

namespace tanren::telemetry {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kNow = 1000 * kSecond;

RecordedCall Call(int64_t sequence, CallState state = CallState::kEntered,
                  const std::string& unit = "model.layers.3") {
  RecordedCall call{"world", "all-gather", unit, "BFloat16", sequence, 4096, /*step=*/7, state};
  call.start_ns = kNow + sequence;
  return call;
}

FlightRecord Rank(int rank, std::vector<RecordedCall> calls) {
  FlightRecord record;
  record.rank = rank;
  record.world_size = 3;
  record.heartbeat_ns = kNow;
  record.calls = std::move(calls);
  return record;
}

FlightRecord With(FlightRecord record, RankStatus status, const std::string& failure = "",
                  int64_t status_ns = kNow) {
  record.status = status;
  record.failure = failure;
  record.status_ns = status_ns;
  return record;
}

FlightRecord Gone(FlightRecord record, int64_t last_heartbeat = kNow) {
  record.gone = true;
  record.heartbeat_ns = last_heartbeat;
  return record;
}

TEST(Explain, AllRanksFinished) {
  EXPECT_EQ(Explain(std::vector<FlightRecord>{With(Rank(0, {}), RankStatus::kFinished),
                                              With(Rank(1, {}), RankStatus::kFinished)}),
            "all ranks finished");
  EXPECT_EQ(Explain({}), "no flight records");
}

TEST(Explain, ARankFailedInACollective) {
  EXPECT_EQ(Explain(std::vector<FlightRecord>{
                Rank(0, {Call(17)}), With(Rank(1, {Call(17)}), RankStatus::kFailed, "no memory"),
                Rank(2, {Call(17)})}),
            "rank 1 failed in all-gather #17 of 'model.layers.3' (step 7): no memory; ranks 0, 2 "
            "waited in the same call");
}

TEST(Explain, TheFirstOfSeveralFailuresIsTheCause) {
  EXPECT_EQ(
      Explain(std::vector<FlightRecord>{
          With(Rank(0, {Call(18)}), RankStatus::kFailed, "connection lost", kNow + 5),
          With(Rank(1, {Call(17, CallState::kDone)}), RankStatus::kFailed, "no memory", kNow),
          Gone(Rank(2, {Call(18)}))}),
      "rank 1 failed after all-gather #17 of 'model.layers.3' (step 7): no memory; ranks 0, 2 "
      "waited in all-gather #18 of 'model.layers.3' (step 7)");
}

TEST(Explain, ARankDied) {
  EXPECT_EQ(
      Explain(std::vector<FlightRecord>{
          Rank(0, {Call(17)}), Gone(Rank(1, {Call(16, CallState::kDone)}), kNow - 3 * kSecond / 10),
          // Those who noticed say so later; they aren't the cause.
          With(Rank(2, {Call(17)}), RankStatus::kTerminated, "SIGTERM")}),
      "rank 1 died without an exit record after all-gather #16 of 'model.layers.3' (step 7), "
      "its last heartbeat 0.3 s before the others'; ranks 0, 2 waited in all-gather #17 of "
      "'model.layers.3' (step 7)");
}

TEST(Explain, ASilentRankOfAnotherHostIsTakenForDead) {
  FlightRecord silent = Rank(1, {});
  silent.host = "elsewhere";
  silent.heartbeat_ns = kNow - 11 * kSecond;
  EXPECT_EQ(Explain(std::vector<FlightRecord>{Rank(0, {Call(1)}), silent, Rank(2, {Call(1)})}),
            "rank 1 died without an exit record before its first collective, its last heartbeat "
            "11.0 s before the others'; ranks 0, 2 waited in all-gather #1 of 'model.layers.3' "
            "(step 7)");
}

TEST(Explain, ARankNeverEnteredTheCollective) {
  EXPECT_EQ(Explain(std::vector<FlightRecord>{Rank(0, {Call(17)}), Rank(1, {Call(17)}),
                                              Rank(2, {Call(16, CallState::kDone)})}),
            "rank 2 never entered all-gather #17 of 'model.layers.3' (step 7); rank 2 is after "
            "all-gather #16 of 'model.layers.3' (step 7); ranks 0, 1 waited in the same call");
}

TEST(Explain, ARankThatStaysInACallWhichOthersHaveLeftHoldsThemUp) {
  const FlightRecord stopped = Rank(1, {Call(16)});
  EXPECT_EQ(
      Explain(std::vector<FlightRecord>{Rank(0, {Call(16, CallState::kDone), Call(17)}), stopped,
                                        Rank(2, {Call(16, CallState::kDone), Call(17)})}),
      "rank 1 never entered all-gather #17 of 'model.layers.3' (step 7); rank 1 is in "
      "all-gather #16 of 'model.layers.3' (step 7); ranks 0, 2 waited in the same call");
}

TEST(Explain, ARankWithoutAHeartbeatStandsStillThoughItEnteredLikeTheOthers) {
  FlightRecord stopped = Rank(1, {Call(17)});
  stopped.heartbeat_ns = kNow - 30 * kSecond;
  EXPECT_EQ(
      Explain(std::vector<FlightRecord>{Rank(0, {Call(17)}), stopped, Rank(2, {Call(17)})}),
      "rank 1 has stood still for 30.0 s in all-gather #17 of 'model.layers.3' (step 7); ranks "
      "0, 2 waited in the same call");
  // Another host's clock says nothing about that.
  stopped.host = "elsewhere";
  stopped.heartbeat_ns = kNow - 3 * kSecond;
  EXPECT_EQ(Explain(std::vector<FlightRecord>{Rank(0, {Call(17)}), stopped, Rank(2, {Call(17)})}),
            "every rank entered all-gather #17 of 'model.layers.3' (step 7), and it doesn't end; "
            "ranks 0, 1, 2 waited in the same call");
}

TEST(Explain, ARankOutsideTheGroupIsNotBehind) {
  RecordedCall in_shard = Call(4);
  in_shard.group = "world/shard.0";
  RecordedCall earlier = Call(3, CallState::kDone);
  earlier.group = "world/shard.0";
  EXPECT_EQ(
      Explain(std::vector<FlightRecord>{Rank(0, {in_shard}),
                                        Rank(1, {earlier, Call(9, CallState::kDone)}),
                                        Rank(2, {Call(9, CallState::kDone)})}),
      "rank 1 never entered all-gather #4 of 'model.layers.3' in group 'world/shard.0' (step 7); "
      "rank 1 is after all-gather #9 of 'model.layers.3' (step 7); rank 2 had been after "
      "all-gather #9 of 'model.layers.3' (step 7); rank 0 waited in the same call");
}

TEST(Explain, RanksCallDifferentThings) {
  EXPECT_EQ(Explain(std::vector<FlightRecord>{
                Rank(0, {Call(17)}), Rank(1, {Call(17, CallState::kEntered, "model.layers.4")}),
                Rank(2, {Call(17)})}),
            "ranks disagree: rank 0 waits in all-gather #17 of 'model.layers.3' (step 7) (4096 "
            "bytes of BFloat16), rank 1 in all-gather #17 of 'model.layers.4' (step 7) (4096 bytes "
            "of BFloat16)");
}

TEST(Explain, EndedFromOutside) {
  EXPECT_EQ(Explain(std::vector<FlightRecord>{
                With(Rank(0, {Call(17)}), RankStatus::kTerminated, "SIGTERM"),
                With(Rank(1, {Call(17)}), RankStatus::kTerminated, "SIGTERM", kNow + 1),
                Rank(2, {Call(17)})}),
            "ended from outside by SIGTERM; ranks 0, 1, 2 waited in all-gather #17 of "
            "'model.layers.3' (step 7)");
}

TEST(Explain, ACollectiveThatAllEnteredAndNoneLeft) {
  EXPECT_EQ(Explain(std::vector<FlightRecord>{Rank(0, {Call(17)}), Rank(1, {Call(17)}),
                                              Rank(2, {Call(17)})}),
            "every rank entered all-gather #17 of 'model.layers.3' (step 7), and it doesn't end; "
            "ranks 0, 1, 2 waited in the same call");
}

TEST(Explain, RanksWithoutARecordAreNamed) {
  EXPECT_EQ(
      Explain(std::vector<FlightRecord>{With(Rank(0, {}), RankStatus::kFailed, "no such file")}),
      "rank 0 failed before its first collective: no such file; ranks 1, 2 left no flight "
      "record here");
}

TEST(Explain, ALoneRankThatFailsBeforeItsFirstStepSaysWhyAndNoMore) {
  FlightRecord alone = With(Rank(0, {}), RankStatus::kFailed, "recipe.yaml:3: no such key");
  alone.world_size = 1;
  EXPECT_EQ(Explain(std::vector<FlightRecord>{alone}), "recipe.yaml:3: no such key");
  alone.calls = {Call(1, CallState::kDone, "run folder")};
  alone.calls[0].step = -1;
  EXPECT_EQ(Explain(std::vector<FlightRecord>{alone}), "recipe.yaml:3: no such key");
  alone.calls = {Call(17, CallState::kDone)};
  EXPECT_EQ(Explain(std::vector<FlightRecord>{alone}),
            "rank 0 failed after all-gather #17 of 'model.layers.3' (step 7): recipe.yaml:3: no "
            "such key");
}

TEST(Explain, OneOfSeveralThatFailsBeforeTheFirstStepIsNamedWithItsReason) {
  std::vector<FlightRecord> ranks = {
      Rank(0, {Call(4)}),
      With(Rank(1, {Call(4, CallState::kDone)}), RankStatus::kFailed, "a.jsonl:3: no text"),
      Rank(2, {Call(4, CallState::kDone)})};
  for (FlightRecord& rank : ranks) rank.calls[0].step = -1;
  EXPECT_EQ(Explain(ranks), "rank 1: a.jsonl:3: no text");
  ranks[1].failure = "rank 0: step-3: no such tensor";
  EXPECT_EQ(Explain(ranks), "rank 0: step-3: no such tensor");
  // A call that fails is a matter of all its ranks.
  ranks[1].calls[0].state = CallState::kEntered;
  EXPECT_TRUE(Explain(ranks).starts_with("rank 1 failed in all-gather #4")) << Explain(ranks);
}

class ExplainOnceTest : public ::testing::Test {
 protected:
  ExplainOnceTest() { fs::remove_all(folder_); }

  std::unique_ptr<FlightRecorder> NewRecorder(int rank) {
    return *FlightRecorder::Create(
        {.folder = folder_, .rank = rank, .world_size = 2, .launch = "job/7"});
  }

  const fs::path folder_ =
      fs::path(testing::TempDir()) /
      (std::string("explain_") + testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(ExplainOnceTest, OneOfAllWhoAskSpeaks) {
  const auto zero = NewRecorder(0), one = NewRecorder(1);
  one->Fail("no memory");
  testing::internal::CaptureStderr();
  const std::string explanation =
      "rank 1 failed before its first collective: no memory; rank 0 had been before its first "
      "collective";
  EXPECT_EQ(ExplainOnce(folder_, "job/7"), explanation);
  EXPECT_EQ(ExplainOnce(folder_, "job/7"), std::nullopt);
  const std::string line = "tanren: " + explanation + "\n";
  EXPECT_EQ(testing::internal::GetCapturedStderr(), line);
  EXPECT_EQ(*ReadFile(folder_ / "explanation-job_7.txt"), line);
}

TEST_F(ExplainOnceTest, TheListenerOfTheRankThatSpeaksHearsIt) {
  const auto zero = NewRecorder(0), one = NewRecorder(1);
  std::vector<std::string> heard;
  for (const auto& recorder : {zero.get(), one.get()}) {
    recorder->set_explanation_listener([&heard, recorder](std::string_view explanation) {
      heard.push_back(fmt::format("by {}: {}", recorder->rank(), explanation));
    });
  }
  one->Fail("no memory");
  ExplainBeforeTheEnd(*one);
  ExplainBeforeTheEnd(*zero);
  EXPECT_THAT(heard, testing::ElementsAre(testing::StartsWith(
                         "by 1: rank 1 failed before its first collective: no memory; ")));
}

TEST_F(ExplainOnceTest, NothingIsSaidWhereAllWentWell) {
  const auto zero = NewRecorder(0), one = NewRecorder(1);
  zero->Finish();
  one->Finish();
  testing::internal::CaptureStderr();
  EXPECT_EQ(ExplainOnce(folder_, "job/7"), std::nullopt);
  EXPECT_EQ(ExplainOnce(folder_, "another launch"), std::nullopt);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_FALSE(fs::exists(ExplanationPath(folder_, "job/7")));
}

}  // namespace
}  // namespace tanren::telemetry
