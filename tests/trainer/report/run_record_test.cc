#include "trainer/report/run_record.h"

#include <gmock/gmock.h>

#include "tests/trainer/report/small_run.h"

namespace tanren::trainer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(RunRecord, HoldsWhatTheRunLeft) {
  const std::filesystem::path folder = SmallRun("whole");
  const RunFolder files(folder);
  WriteText(files.samples(), R"([{"step": 0, "answers": [{"question": "Q", "text": "a"}]},
                                 {"step": 3, "answers": [{"question": "Q", "text": "b"}]}])");
  WriteText(files.evaluation("after"), EvaluationJson(0.5, "4", true));
  const RunRecord run = ValueOrThrow(ReadRun(folder));
  EXPECT_EQ(run.name, "whole");
  EXPECT_EQ(run.started->world_size(), 2);
  EXPECT_FALSE(run.ended.has_value());
  EXPECT_THAT(run.Series("loss"), ElementsAre(Pair(1, 3.25), Pair(2, 2.5), Pair(3, 1.125)));
  EXPECT_THAT(run.Series("validation_loss"), ElementsAre(Pair(0, 3.5), Pair(3, 1.5)));
  ASSERT_EQ(run.askings.size(), 2u);
  EXPECT_EQ(run.askings[1].step, 3);
  EXPECT_THAT(run.askings[1].answers, ElementsAre(Pair("Q", "b")));
  EXPECT_FALSE(run.before.has_value());
  EXPECT_DOUBLE_EQ(run.after->exact_match->value, 0.5);
  EXPECT_DOUBLE_EQ(run.after->exact_match->low, 0.1);
  EXPECT_FALSE(run.after->loss.has_value());
  EXPECT_TRUE(run.after->answers.front().right);
}

TEST(RunRecord, HasTheScoresOfMultipleChoiceWhereTheyWereTaken) {
  const std::filesystem::path folder = SmallRun("choices");
  const RunFolder files(folder);
  WriteText(files.evaluation("before"), EvaluationJson(0.5, "4", true));
  WriteText(files.evaluation("after"), ChoicesJson(0.5, 0.75));
  const RunRecord run = ValueOrThrow(ReadRun(folder));
  EXPECT_FALSE(run.before->acc.has_value());
  EXPECT_FALSE(run.after->exact_match.has_value());
  EXPECT_DOUBLE_EQ(run.after->acc->value, 0.5);
  EXPECT_DOUBLE_EQ(run.after->acc->high, 0.8);
  EXPECT_DOUBLE_EQ(run.after->acc_norm->value, 0.75);
  EXPECT_DOUBLE_EQ(run.after->acc_norm->low, 0.3);
}

TEST(RunRecord, OfTheLatestLaunchSaysWhetherItEnded) {
  const std::filesystem::path folder = SmallRun("relaunched");
  Event saved;
  saved.mutable_run_ended()->set_outcome(RunEnded::SAVED);
  AppendEvent(folder, saved);
  EXPECT_EQ(ValueOrThrow(ReadRun(folder)).ended->outcome(), RunEnded::SAVED);
  Event again;
  again.mutable_run_started()->set_world_size(4);
  ThrowIfError(ValueOrThrow(EventLog::Open(folder))->Append(again));
  const RunRecord run = ValueOrThrow(ReadRun(folder));
  EXPECT_EQ(run.started->world_size(), 4);
  EXPECT_FALSE(run.ended.has_value());
}

TEST(RunRecord, ALaunchThatFailedBeforeItsFirstStepLeavesTheEarlierOnesEnd) {
  const std::filesystem::path folder = SmallRun("failed_resume");
  Event event;
  event.mutable_run_ended()->set_outcome(RunEnded::SAVED);
  AppendEvent(folder, event);
  event.mutable_run_ended()->set_outcome(RunEnded::FAILED);
  ThrowIfError(ValueOrThrow(EventLog::Open(folder))->Append(event));
  EXPECT_EQ(ValueOrThrow(ReadRun(folder)).ended->outcome(), RunEnded::SAVED);
}

TEST(RunRecord, OfARunThatNeverStartedIsEmpty) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "run_unstarted";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  WriteText(RunFolder(folder).recipe(), "name: x\n");
  const RunRecord run = ValueOrThrow(ReadRun(folder));
  EXPECT_EQ(run.name, "run_unstarted");
  EXPECT_FALSE(run.started.has_value());
  EXPECT_TRUE(run.metrics.empty());
}

TEST(RunRecord, AFolderWithoutARunIsRefused) {
  const absl::Status status = ReadRun(testing::TempDir() + "/nothing").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("holds no run"));
}

TEST(RunRecord, FilesThatAreNotWhatTheirNamesSayAreNamed) {
  const std::filesystem::path folder = SmallRun("spoilt");
  const RunFolder files(folder);
  WriteText(files.evaluation("before"), R"({"held_out": {"loss": "low"}, "exact_match": null})");
  absl::Status status = ReadRun(folder).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("evaluation_before.json: "));
  std::filesystem::remove(files.evaluation("before"));
  WriteText(files.samples(), "[{");
  status = ReadRun(folder).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("samples.json: "));
}

}  // namespace
}  // namespace tanren::trainer
