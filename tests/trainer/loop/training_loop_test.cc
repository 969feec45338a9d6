#include "trainer/loop/training_loop.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/comm/local.h"
#include "runtime/telemetry/flight_recorder.h"
#include "tests/trainer/data/files.h"
#include "tests/trainer/loop/small_training.h"

namespace tanren::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The reports of each rank.
std::vector<std::vector<StepReport>> Train(int ranks, int micro_batches, int64_t steps) {
  std::vector<std::vector<StepReport>> reports(ranks);
  comm::RunRanks(ranks, [&](comm::Communicator& world) {
    SmallTraining training(world, micro_batches);
    EXPECT_EQ(training.Run(0, steps, ListOf(std::make_unique<Reports>(&reports[world.rank()]))),
              TrainingOutcome::kFinished);
  });
  return reports;
}

std::string ErrorOf(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(TrainingLoop, TheFirstStepsLossAndGradientAreMeansOverItsTargets) {
  comm::RunRanks(1, [](comm::Communicator& world) {
    SmallTraining training(world);
    const Tensors initial = training.engine.GatherAll();
    std::vector<at::Tensor> leaves;
    Tensors parameters;
    for (const auto& [name, value] : initial) {
      leaves.push_back(parameters[name] = value.detach().clone().requires_grad_());
    }
    const at::AutoGradMode record(true);
    const StepBatches step = *ValueOrThrow(SmallSource({}).Next());
    const at::Tensor loss = LossSum(parameters, step.micro_batches[0]) / step.target_weight;
    double squares = 0;
    for (const at::Tensor& gradient : torch::autograd::grad({loss}, leaves)) {
      squares += gradient.square().sum().item<double>();
    }
    const at::AutoGradMode off(false);

    std::vector<StepReport> reports;
    training.Run(0, 1, ListOf(std::make_unique<Reports>(&reports)));
    EXPECT_NEAR(reports[0].loss, loss.item<double>(), 1e-5);
    EXPECT_NEAR(reports[0].gradient_norm, std::sqrt(squares), 1e-5);
  });
}

TEST(TrainingLoop, LossesAreTheSameOnAnyNumberOfRanksAndMicroBatches) {
  constexpr int64_t kSteps = 12;
  const std::vector<StepReport> expected = Train(1, 1, kSteps)[0];
  ASSERT_EQ(expected.size(), static_cast<size_t>(kSteps));
  EXPECT_GT(std::abs(expected[0].loss - expected[3].loss), 1e-2) << "something is learnt";
  struct Split {
    int ranks, micro_batches;
  };
  for (const Split split : {Split{1, 2}, {1, 5}, {2, 1}, {2, 3}, {4, 1}, {4, 2}}) {
    for (const std::vector<StepReport>& reports : Train(split.ranks, split.micro_batches, kSteps)) {
      ASSERT_EQ(reports.size(), expected.size());
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_NEAR(reports[i].loss, expected[i].loss, 1e-5 * expected[i].loss)
            << "step " << i + 1 << ", " << split.ranks << " ranks, " << split.micro_batches;
        EXPECT_NEAR(reports[i].gradient_norm, expected[i].gradient_norm,
                    1e-4 * expected[i].gradient_norm);
      }
    }
  }
}

TEST(TrainingLoop, EveryRankReportsTheWholeStep) {
  const auto reports = Train(4, 2, 3);
  for (size_t i = 0; i < 3; ++i) {
    int64_t tokens = 0;
    const std::vector<Document> documents = DocumentsOf(static_cast<int64_t>(i));
    for (const Document& document : documents) tokens += document.tokens.size();
    for (const std::vector<StepReport>& of_rank : reports) {
      EXPECT_EQ(of_rank[i].step, static_cast<int64_t>(i) + 1);
      EXPECT_EQ(of_rank[i].tokens, tokens);
      EXPECT_EQ(of_rank[i].documents, static_cast<int64_t>(documents.size()));
      EXPECT_EQ(of_rank[i].target_weight, reports[0][i].target_weight);
      EXPECT_GT(of_rank[i].target_weight, 0);
      EXPECT_EQ(of_rank[i].loss, reports[0][i].loss);
      EXPECT_EQ(of_rank[i].gradient_norm, reports[0][i].gradient_norm);
      EXPECT_EQ(of_rank[i].cursor, std::to_string(i + 1)) << "behind this step";
      EXPECT_EQ(of_rank[i].is_last, i == 2);
      EXPECT_FALSE(of_rank[i].skipped);
      EXPECT_FALSE(of_rank[i].stop_requested);
      EXPECT_EQ(of_rank[i].loss_scale, 1);
      EXPECT_GT(of_rank[i].seconds, 0);
      // Here all ranks are one process. The kernel's count is off by some pages for each thread.
      const uint64_t peak = MemoryUseNow(at::kCPU).peak_resident;
      EXPECT_GT(of_rank[i].memory.peak_resident, peak / 10);
      EXPECT_LT(of_rank[i].memory.peak_resident, peak + peak / 10);
      EXPECT_LE(of_rank[i].memory.resident, of_rank[i].memory.peak_resident + peak / 10);
      EXPECT_EQ(of_rank[i].memory, reports[0][i].memory) << "all know the largest rank's";
    }
  }
}

TEST(TrainingLoop, AResumedRunTakesTheStepsThatAreLeftWithTheirRates) {
  comm::RunRanks(1, [](comm::Communicator& world) {
    SmallTraining training(world);
    std::vector<StartReport> starts;
    std::vector<StepReport> steps;
    // Warm-up to 0.4 in four steps.
    TrainingLoop loop(training.parts(), {5, {.peak = 0.4, .warmup_steps = 4}, {}},
                      ListOf(std::make_unique<Reports>(&steps, &starts)), [] { return false; });
    EXPECT_EQ(loop.Run(2), TrainingOutcome::kFinished);
    ASSERT_EQ(starts.size(), 1u);
    EXPECT_EQ(starts[0].steps_done, 2);
    std::vector<double> rates;
    for (const StepReport& report : steps) rates.push_back(report.learning_rate);
    EXPECT_THAT(rates, ElementsAre(testing::DoubleEq(0.3), 0.4, 0.4));
    EXPECT_EQ(steps[0].step, 3);
    EXPECT_EQ(loop.Run(5), TrainingOutcome::kFinished) << "nothing is left";
    EXPECT_EQ(steps.size(), 3u);
  });
}

// Writes down what it is told under its name, and hands a metric on.
class Named final : public Callback {
 public:
  Named(std::string name, std::vector<std::string>* told) : name_(std::move(name)), told_(told) {}
  void RunStarted(StartReport& report) override {
    told_->push_back(fmt::format("{}: start, {} metrics", name_, report.metrics.size()));
    report.metrics[name_] = 1;
  }
  void StepFinished(StepReport& report) override {
    told_->push_back(
        fmt::format("{}: step {}, {} metrics", name_, report.step, report.metrics.size()));
    report.metrics[name_] = 1;
  }

 private:
  std::string name_;
  std::vector<std::string>* told_;
};

TEST(TrainingLoop, CallbacksAreToldInTheirOrderAndHandMetricsOn) {
  comm::RunRanks(1, [](comm::Communicator& world) {
    std::vector<std::string> told;
    SmallTraining(world).Run(
        0, 2, ListOf(std::make_unique<Named>("a", &told), std::make_unique<Named>("b", &told)));
    EXPECT_THAT(
        told, ElementsAre("a: start, 0 metrics", "b: start, 1 metrics", "a: step 1, 0 metrics",
                          "b: step 1, 1 metrics", "a: step 2, 0 metrics", "b: step 2, 1 metrics"));
  });
}

TEST(TrainingLoop, AStopOnOneRankStopsAllBehindTheSameStep) {
  for (int stopped = 0; stopped < 3; ++stopped) {
    comm::RunRanks(3, [&](comm::Communicator& world) {
      SmallTraining training(world);
      std::vector<StepReport> reports;
      int asked = 0;
      EXPECT_EQ(training.Run(0, 9, ListOf(std::make_unique<Reports>(&reports)),
                             [&] { return ++asked == 4 && world.rank() == stopped; }),
                TrainingOutcome::kStopped);
      ASSERT_EQ(reports.size(), 4u) << "rank " << world.rank() << ", asked on " << stopped;
      EXPECT_FALSE(reports[2].stop_requested);
      EXPECT_TRUE(reports[3].stop_requested) << "callbacks know, so that they can save";
      EXPECT_FALSE(reports[3].is_last);
    });
  }
}

TEST(TrainingLoop, AStopBehindTheLastStepIsAFinish) {
  comm::RunRanks(2, [](comm::Communicator& world) {
    EXPECT_EQ(SmallTraining(world).Run(0, 1, {}, [] { return true; }), TrainingOutcome::kFinished);
  });
}

TEST(TrainingLoop, ASourceThatEndsEarlyIsAnErrorThatNamesTheStep) {
  std::vector<StepReport> reports;
  const std::string error = ErrorOf([&] {
    comm::RunRanks(2, [&](comm::Communicator& world) {
      SmallTraining training(world, 1, /*steps_of_data=*/3);
      std::vector<StepReport> of_rank;
      training.Run(0, 6,
                   ListOf(std::make_unique<Reports>(world.rank() == 0 ? &reports : &of_rank)));
    });
  });
  EXPECT_THAT(error, HasSubstr("the data ended before step 4 of 6"));
  EXPECT_EQ(reports.size(), 3u);
}

class BrokenSource final : public BatchSource {
 public:
  absl::StatusOr<std::optional<StepBatches>> Next() override {
    return absl::DataLossError("rows.jsonl:7: torn");
  }
  std::string cursor() const override { return {}; }
  absl::Status Restore(std::string_view) override { return absl::OkStatus(); }
};

TEST(TrainingLoop, ASourcesErrorEndsTheRunAsItIs) {
  const std::string error = ErrorOf([] {
    comm::RunRanks(1, [](comm::Communicator& world) {
      SmallTraining training(world);
      BrokenSource source;
      TrainingLoop(
          {world, training.engine, training.optimizer, nullptr, source, training.objective},
          {6, {.peak = 0.5}, {}}, {}, [] { return false; })
          .Run(0);
    });
  });
  EXPECT_EQ(error, "rows.jsonl:7: torn");
}

TEST(TrainingLoop, TheFlightRecorderKnowsTheStep) {
  const Folder folder;
  const auto recorder =
      ValueOrThrow(telemetry::FlightRecorder::Create({.folder = folder.path(), .launch = "test"}));
  const auto world = comm::SingleRank();
  SmallTraining training(*world);
  world->set_flight_recorder(recorder.get());
  training.Run(4, 6);
  const telemetry::FlightRecord record =
      ValueOrThrow(telemetry::ReadFlightRecord(telemetry::FlightRecordPath(folder.path(), 0)));
  EXPECT_EQ(record.step, 6);
  ASSERT_FALSE(record.calls.empty());
  EXPECT_EQ(record.calls.front().step, 5);
  EXPECT_EQ(record.calls.back().step, 6);
}

}  // namespace
}  // namespace tanren::trainer
