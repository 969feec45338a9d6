#include "trainer/loop/tensorboard_recording.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/tensorboard.pb.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "tests/trainer/data/files.h"
#include "trainer/loop/step_metrics.h"

namespace tanren::trainer {
namespace {

using testing::ElementsAre;

// The events behind the file's first; their framing is the file's own test.
std::vector<tensorboard::Event> EventsIn(const std::filesystem::path& file) {
  const std::string content = ValueOrThrow(ReadFile(file));
  std::vector<tensorboard::Event> events;
  for (size_t at = 0; at + 12 < content.size();) {
    uint64_t length = 0;
    std::memcpy(&length, content.data() + at, 8);
    EXPECT_TRUE(events.emplace_back().ParseFromString(content.substr(at + 12, length)));
    at += 12 + length + 4;
  }
  events.erase(events.begin());
  return events;
}

StepReport Step(int64_t step) {
  StepReport report;
  report.step = step;
  report.loss = 1.0 / static_cast<double>(step);
  report.tokens = 64;
  report.seconds = 0.5;
  return report;
}

class TensorBoardRecordingTest : public testing::Test {
 protected:
  std::vector<tensorboard::Event> Launch(StartReport start, std::vector<StepReport> reports,
                                         int64_t log_every = 1) {
    TensorBoardFile file = ValueOrThrow(TensorBoardFile::Create(folder_.path() / "tensorboard"));
    const std::filesystem::path path = file.path();
    TensorBoardRecording recording(std::move(file), log_every);
    recording.RunStarted(start);
    for (StepReport& report : reports) recording.StepFinished(report);
    return EventsIn(path);
  }

  // "restart 3", "4: 10 values".
  static std::vector<std::string> Names(const std::vector<tensorboard::Event>& events) {
    std::vector<std::string> names;
    for (const tensorboard::Event& event : events) {
      names.push_back(event.has_session_log() ? fmt::format("restart {}", event.step())
                                              : fmt::format("{}: {} values", event.step(),
                                                            event.summary().value_size()));
    }
    return names;
  }

  Folder folder_;
};

TEST_F(TensorBoardRecordingTest, ShowsTheMetricsOfAStepUnderTheirNames) {
  StepReport report = Step(4);
  report.metrics["validation_loss"] = 2.5;
  const std::vector<tensorboard::Event> events = Launch({}, {report});
  ASSERT_EQ(events.size(), 1u);
  std::vector<std::pair<std::string, double>> shown;
  for (const auto& value : events[0].summary().value()) {
    shown.emplace_back(value.tag(), value.simple_value());
  }
  EXPECT_EQ(shown, MetricsOf(report));
  EXPECT_THAT(shown, testing::IsSupersetOf(std::vector<std::pair<std::string, double>>{
                         {"loss", 0.25}, {"tokens_per_second", 128}, {"validation_loss", 2.5}}));
}

TEST_F(TensorBoardRecordingTest, WritesTheStepsThatAreLogged) {
  std::vector<StepReport> reports;
  for (int64_t step = 1; step <= 8; ++step) reports.push_back(Step(step));
  reports[4].metrics["validation_loss"] = 2;
  reports[7].is_last = true;
  EXPECT_THAT(
      Names(Launch({0, {{"validation_loss", 4.5}}}, reports, 3)),
      ElementsAre("0: 1 values", "3: 10 values", "5: 11 values", "6: 10 values", "8: 10 values"));
}

TEST_F(TensorBoardRecordingTest, AResumedRunDropsWhatFollowedTheCheckpointAndNothingElse) {
  EXPECT_THAT(Names(Launch({}, {Step(1), Step(2), Step(3)})),
              ElementsAre("1: 10 values", "2: 10 values", "3: 10 values"));
  EXPECT_THAT(Names(Launch({2, {}}, {Step(3)})), ElementsAre("restart 3", "3: 10 values"));
}

}  // namespace
}  // namespace tanren::trainer
