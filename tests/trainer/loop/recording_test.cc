#include "trainer/loop/recording.h"

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "tests/trainer/data/files.h"

namespace tanren::trainer {
namespace {

using testing::ElementsAre;
using testing::Pair;
using testing::UnorderedElementsAre;

StepReport Step(int64_t step) {
  StepReport report;
  report.step = step;
  report.loss = 1.0 / static_cast<double>(step);
  report.target_weight = 40.5;
  report.tokens = 64;
  report.documents = 5;
  report.seconds = 0.5;
  report.learning_rate = 0.125;
  report.gradient_norm = 3;
  report.memory = {2'000'000'000, 3'000'000'000, 0, 0};
  return report;
}

class RecordingTest : public testing::Test {
 protected:
  // As one launch of a run: starts behind `steps_done` and takes the steps of `reports`.
  void Launch(StartReport start, std::vector<StepReport> reports, int64_t log_every = 1) {
    const auto log = ValueOrThrow(EventLog::Open(folder_.path()));
    RunStarted started;
    started.set_name("small");
    started.set_total_steps(9);
    Recording recording(ValueOrThrow(MetricsFile::Open(metrics_)), *log, started, log_every);
    recording.RunStarted(start);
    for (StepReport& report : reports) recording.StepFinished(report);
  }

  std::vector<MetricsLine> Metrics() const { return ValueOrThrow(ReadMetrics(metrics_)); }
  std::vector<int64_t> MetricsSteps() const {
    std::vector<int64_t> steps;
    for (const MetricsLine& line : Metrics()) steps.push_back(line.step);
    return steps;
  }
  std::vector<Event> Events() const {
    return ValueOrThrow(ReadEvents(folder_.path() / "events.pb")).events;
  }
  // "started 0", "step 1", "evaluation 1".
  std::vector<std::string> EventNames() const {
    std::vector<std::string> names;
    for (const Event& event : Events()) {
      if (event.has_run_started()) {
        names.push_back(fmt::format("started {}", event.run_started().first_step()));
      } else if (event.has_step_finished()) {
        names.push_back(fmt::format("step {}", event.step_finished().step()));
      } else if (event.has_evaluation_finished()) {
        names.push_back(fmt::format("evaluation {}", event.evaluation_finished().step()));
      } else {
        names.push_back("?");
      }
    }
    return names;
  }

  Folder folder_;
  const std::filesystem::path metrics_ = folder_.path() / "metrics.jsonl";
};

TEST_F(RecordingTest, AStepsMetricsAreItsReport) {
  Launch({}, {Step(4)});
  ASSERT_EQ(MetricsSteps(), std::vector<int64_t>{4});
  std::map<std::string, double> values;
  const std::vector<MetricsLine> lines = Metrics();
  for (const auto& [name, value] : lines[0].values) {
    EXPECT_TRUE(values.emplace(name, value).second) << name << " twice";
  }
  EXPECT_THAT(values,
              UnorderedElementsAre(Pair("loss", 0.25), Pair("learning_rate", 0.125),
                                   Pair("gradient_norm", 3), Pair("tokens", 64),
                                   Pair("targets", 40.5), Pair("documents", 5),
                                   Pair("seconds", 0.5), Pair("tokens_per_second", 128),
                                   Pair("memory_bytes", 2e9), Pair("peak_memory_bytes", 3e9)));
}

TEST_F(RecordingTest, WhatCallbacksAddedAndWhatIsUnusualStandsThereToo) {
  StepReport report = Step(4);
  report.metrics["accuracy"] = 0.75;
  report.loss_scale = 1024;
  report.memory.device = 5'000'000'000;
  report.memory.peak_device = 6'000'000'000;
  report.skipped = true;
  Launch({}, {report});
  const std::vector<std::pair<std::string, double>> expected = {{"accuracy", 0.75},
                                                                {"loss_scale", 1024},
                                                                {"skipped", 1},
                                                                {"device_memory_bytes", 5e9},
                                                                {"peak_device_memory_bytes", 6e9}};
  EXPECT_THAT(Metrics()[0].values, testing::IsSupersetOf(expected));
}

TEST_F(RecordingTest, AStepsEventIsItsReport) {
  StepReport report = Step(4);
  report.skipped = true;
  report.metrics["accuracy"] = 0.75;
  Launch({}, {report});
  ASSERT_THAT(EventNames(), ElementsAre("started 0", "step 4"));
  EXPECT_EQ(Events()[0].run_started().name(), "small");
  EXPECT_EQ(Events()[0].run_started().total_steps(), 9);
  const StepFinished step = Events()[1].step_finished();
  EXPECT_EQ(step.loss(), 0.25);
  EXPECT_EQ(step.tokens(), 64);
  EXPECT_EQ(step.seconds(), 0.5);
  EXPECT_EQ(step.learning_rate(), 0.125);
  EXPECT_EQ(step.gradient_norm(), 3);
  EXPECT_TRUE(step.skipped());
  EXPECT_THAT(step.metrics(), UnorderedElementsAre(Pair("accuracy", 0.75)));
}

TEST_F(RecordingTest, EveryStepIsAnEventButOnlySomeAreMetrics) {
  std::vector<StepReport> reports;
  for (int64_t step = 1; step <= 8; ++step) reports.push_back(Step(step));
  reports[4].metrics["validation_loss"] = 2;
  reports[7].is_last = true;
  Launch({}, reports, 3);
  EXPECT_THAT(MetricsSteps(), ElementsAre(3, 5, 6, 8));
  EXPECT_THAT(EventNames(), ElementsAre("started 0", "step 1", "step 2", "step 3", "step 4",
                                        "step 5", "evaluation 5", "step 6", "step 7", "step 8"));
}

TEST_F(RecordingTest, AnEvaluationBeforeTheFirstStepIsOfStepZero) {
  Launch({0, {{"validation_loss", 4.5}}}, {});
  ASSERT_EQ(MetricsSteps(), std::vector<int64_t>{0});
  EXPECT_THAT(Metrics()[0].values, ElementsAre(Pair("validation_loss", 4.5)));
  ASSERT_THAT(EventNames(), ElementsAre("started 0", "evaluation 0"));
  EXPECT_THAT(Events()[1].evaluation_finished().metrics(),
              UnorderedElementsAre(Pair("validation_loss", 4.5)));
}

TEST_F(RecordingTest, AResumedRunCutsMetricsBackButNoEvents) {
  Launch({}, {Step(1), Step(2), Step(3), Step(4)});
  StepReport again = Step(3);
  again.loss = 7;
  Launch({2, {}}, {again});
  ASSERT_THAT(MetricsSteps(), ElementsAre(1, 2, 3));
  EXPECT_THAT(Metrics()[2].values, testing::Contains(Pair("loss", 7)));
  EXPECT_THAT(EventNames(), ElementsAre("started 0", "step 1", "step 2", "step 3", "step 4",
                                        "started 2", "step 3"));
}

TEST_F(RecordingTest, ALossThatIsNoNumberIsRecordedAsSuch) {
  StepReport report = Step(1);
  report.loss = std::numeric_limits<double>::quiet_NaN();
  Launch({}, {report});
  ASSERT_EQ(MetricsSteps(), std::vector<int64_t>{1});
  EXPECT_EQ(Metrics()[0].values[0].first, "loss");
  EXPECT_TRUE(std::isnan(Metrics()[0].values[0].second));
  EXPECT_TRUE(std::isnan(Events()[1].step_finished().loss()));
}

}  // namespace
}  // namespace tanren::trainer
