// Whole training steps over the nccl backend on devices that are made of the CPU (fake_device.h):
// where a GPU's host would wait, whether streams are ordered by events, and which memory is used.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "parallel/checkpoint/checkpoint_folder.h"
#include "parallel/optimizer/adamw.h"
#include "runtime/base/error.h"
#include "runtime/comm/local.h"
#include "tests/runtime/comm/fake_device.h"
#include "tests/runtime/comm/fake_nccl.h"
#include "tests/runtime/formats/llama_config.h"
#include "tests/trainer/data/data_files.h"
#include "tests/trainer/loop/small_training.h"
#include "trainer/loop/checkpointing.h"
#include "trainer/loop/evaluation.h"
#include "trainer/loop/training_loop.h"
#include "trainer/model/llama.h"
#include "trainer/objective/next_token.h"

namespace tanren::trainer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Case {
  std::string name;
  int ranks = 2;
  int micro_batches = 1;
  parallel::EngineOptions engine;
  bool tied = true;
};

std::vector<Case> Cases() {
  using parallel::Recompute;
  const auto options = [](int stage, at::ScalarType dtype, Recompute recompute, int prefetch,
                          at::ScalarType gradients) {
    parallel::EngineOptions engine;
    engine.zero_stage = stage;
    engine.compute_dtype = dtype;
    engine.gradient_dtype = gradients;
    engine.recompute = recompute;
    engine.prefetch_depth = prefetch;
    return engine;
  };
  constexpr auto kNone = Recompute::kNone, kFull = Recompute::kFull;
  return {
      {"Zero3", 2, 1, options(3, at::kFloat, kNone, 1, at::kFloat)},
      {"Zero3Alone", 1, 1, options(3, at::kFloat, kNone, 1, at::kFloat)},
      {"Zero3ThreeMicroBatches", 2, 3, options(3, at::kFloat, kNone, 1, at::kFloat)},
      {"Zero3WithoutPrefetch", 2, 1, options(3, at::kFloat, kNone, 0, at::kFloat)},
      {"Zero3Recomputing", 4, 2, options(3, at::kFloat, kFull, 1, at::kFloat), false},
      {"Zero3Bf16", 2, 2, options(3, at::kBFloat16, kFull, 1, at::kBFloat16), false},
      {"Zero2Bf16", 2, 2, options(2, at::kBFloat16, kNone, 1, at::kFloat)},
      {"Zero1", 2, 2, options(1, at::kFloat, kNone, 1, at::kFloat), false},
      {"Zero3Fp16", 2, 1, options(3, at::kHalf, kNone, 1, at::kFloat)},
  };
}

Model TinyLlama(bool tied) {
  formats::ModelConfig config = formats::LlamaConfig({.hidden = 16,
                                                      .intermediate = 24,
                                                      .layers = 2,
                                                      .heads = 4,
                                                      .key_value_heads = 2,
                                                      .head_dim = 4,
                                                      .vocabulary = 64});
  config.tie_word_embeddings = tied;
  config.initializer_range = 0.2;
  return BuildLlama(config);
}

// Trains some steps; `after_step` is called after each with its report.
void Train(comm::Communicator& ranks, const Case& of, int64_t steps,
           const std::function<void(const StepReport&)>& after_step) {
  class Listener final : public Callback {
   public:
    explicit Listener(const std::function<void(const StepReport&)>& told) : told_(told) {}
    void StepFinished(StepReport& report) override { told_(report); }

   private:
    const std::function<void(const StepReport&)>& told_;
  };
  const Model model = TinyLlama(of.tied);
  parallel::EngineOptions options = of.engine;
  options.fill_released_with_nan = true;
  parallel::Engine engine(model.units, {model.head}, ranks, options);
  engine.Initialize(5);
  parallel::AdamW optimizer(engine.TrainableShards(), {0.9, 0.95, 1e-8, 0.1});
  std::optional<parallel::LossScaler> scaler;
  if (options.compute_dtype == at::kHalf) scaler.emplace(parallel::LossScaler::Options{});
  SmallSource source({ranks.size(), ranks.rank(), of.micro_batches, steps});
  const NextToken objective;
  TrainingLoop loop({ranks, engine, optimizer, scaler ? &*scaler : nullptr, source, objective},
                    {steps, {.peak = 0.01}, {.max_norm = 1.0}},
                    ListOf(std::make_unique<Listener>(after_step)), [] { return false; });
  EXPECT_EQ(loop.Run(0), TrainingOutcome::kFinished);
}

// On a device for each rank, over the nccl backend.
void RunOnDevices(int count,
                  const std::function<void(comm::Communicator&, comm::FakeNccl&)>& body) {
  comm::RegisterFakeDevices();
  const auto make = [](int rank, std::shared_ptr<comm::FakeNetwork> network) {
    return std::make_shared<comm::FakeNccl>(std::move(network), comm::FakeDevice(rank),
                                            &comm::RacesOf(rank));
  };
  // So small that reductions take several pieces.
  comm::RunFakeNcclRanks(count, {.scratch_bytes = 256}, make, body);
}

// Those of a rank's device beyond the first `before`, which other tests left.
std::vector<std::string> RacesSince(const comm::Communicator& ranks, size_t before) {
  const std::vector<std::string> races = comm::RacesOf(ranks.rank()).races();
  return {races.begin() + static_cast<ptrdiff_t>(before), races.end()};
}

class DeviceStep : public ::testing::TestWithParam<Case> {};

TEST_P(DeviceStep, WaitsForTheDeviceTwice) {
  RunOnDevices(GetParam().ranks, [&](comm::Communicator& ranks, comm::FakeNccl&) {
    comm::ForgetFakeUse(ranks.rank());
    Train(ranks, GetParam(), 3, [&](const StepReport& report) {
      if (report.step > 1) {
        EXPECT_THAT(comm::FakeUseOf(ranks.rank()).waits,
                    ElementsAre("a copy to the host",    // what the step was, with its loss
                                "a copy to the host"));  // whether to update, by how much to clip
      }
      comm::ForgetFakeUse(ranks.rank());
    });
  });
}

TEST_P(DeviceStep, ReadsNothingBeforeItsEventAndRefillsNothingBeforeItsReader) {
  RunOnDevices(GetParam().ranks, [&](comm::Communicator& ranks, comm::FakeNccl&) {
    const size_t before = comm::RacesOf(ranks.rank()).races().size();
    Train(ranks, GetParam(), 2, [](const StepReport&) {});
    EXPECT_THAT(RacesSince(ranks, before), IsEmpty());
  });
}

TEST_P(DeviceStep, HasTheCpusLosses) {
  std::vector<StepReport> expected;
  comm::RunRanks(GetParam().ranks, [&](comm::Communicator& ranks) {
    Train(ranks, GetParam(), 4, [&](const StepReport& report) {
      if (ranks.rank() == 0) expected.push_back(report);
    });
  });
  RunOnDevices(GetParam().ranks, [&](comm::Communicator& ranks, comm::FakeNccl&) {
    size_t step = 0;
    const bool exact = GetParam().engine.compute_dtype == at::kFloat;
    Train(ranks, GetParam(), 4, [&](const StepReport& report) {
      const StepReport& on_cpu = expected[step++];
      // Halves are rounded at other places there.
      EXPECT_NEAR(report.loss, on_cpu.loss, (exact ? 1e-5 : 1e-2) * on_cpu.loss);
      EXPECT_NEAR(report.gradient_norm, on_cpu.gradient_norm,
                  (exact ? 1e-4 : 5e-2) * on_cpu.gradient_norm);
    });
    EXPECT_EQ(step, 4u);
  });
}

TEST_P(DeviceStep, GathersIntoMemoryThatIsRegisteredOnce) {
  if (GetParam().ranks == 1) GTEST_SKIP() << "nothing is gathered";
  RunOnDevices(GetParam().ranks, [&](comm::Communicator& ranks, comm::FakeNccl& api) {
    const auto count = [&](const std::string& call) {
      const std::vector<std::string> calls = api.Calls();
      return std::count(calls.begin(), calls.end(), call);
    };
    int64_t after_one_step = 0;
    Train(ranks, GetParam(), 3, [&](const StepReport& report) {
      if (report.step == 1) after_one_step = count("register");
    });
    EXPECT_GT(after_one_step, 0);
    EXPECT_EQ(count("register"), after_one_step) << "later steps take the same buffers";
    EXPECT_EQ(api.registered_gathers(), count("all-gather"));
    if (GetParam().engine.zero_stage == 3) {
      EXPECT_LT(after_one_step, static_cast<int64_t>(TinyLlama(true).units.size()) + 2)
          << "units share them";
    }
  });
}

INSTANTIATE_TEST_SUITE_P(, DeviceStep, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

TEST(Device, WhoDoesntWaitForAGatherIsFound) {
  RunOnDevices(2, [](comm::Communicator& ranks, comm::FakeNccl&) {
    const comm::RaceDetector& races = comm::RacesOf(ranks.rank());
    const auto options = at::device(comm::FakeDevice(ranks.rank())).dtype(at::kFloat);
    const at::Tensor whole = at::empty({8}, options), part = at::ones({4}, options);
    const size_t before = races.races().size();
    const auto work = ranks.AllGather(whole, part, "unit");
    const at::Tensor early = whole + 1;
    EXPECT_EQ(races.races().size(), before + 1);
    work->Wait();
    const at::Tensor in_time = whole + 1;
    EXPECT_EQ(races.races().size(), before + 1);
  });
}

TEST(Device, LogitsOfAllTokensAreNeverInMemory) {
  RunOnDevices(1, [](comm::Communicator& ranks, comm::FakeNccl&) {
    constexpr int64_t kTokens = 10000, kWidth = 8, kVocabulary = 500;
    const auto options = at::device(comm::FakeDevice(0)).dtype(at::kBFloat16);
    const at::Tensor hidden_TD = at::ones({kTokens, kWidth}, options);
    const at::Tensor weight_VD = at::ones({kVocabulary, kWidth}, options);
    at::Tensor gradient_VD = at::zeros({kVocabulary, kWidth}, options.dtype(at::kFloat));
    comm::ForgetFakeUse(0);
    const kernels::LinearCrossEntropyResult result =
        kernels::LinearCrossEntropy(hidden_TD, weight_VD, at::zeros({kTokens}, at::kLong),
                                    at::ones({kTokens}), 1.0, &gradient_VD);
    const comm::FakeUse use = comm::FakeUseOf(0);
    EXPECT_THAT(use.waits, IsEmpty());
    constexpr int64_t kAll = kTokens * kVocabulary * 4;
    EXPECT_LE(use.largest_allocation, kAll / 16);
    EXPECT_LE(use.peak_bytes, kAll / 5) << "a chunk in fp32, and what is made of it on the way";
    EXPECT_NEAR(result.loss_sum.item<double>() / kTokens, std::log(kVocabulary), 1e-3);
  });
}

TEST(Device, ACheckpointThatDevicesWroteBesideTrainingGoesOnOnTheCpu) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / "device_step_checkpoints";
  std::filesystem::remove_all(folder);
  CheckpointingOptions options;
  options.folder = folder;
  options.every_steps = 2;
  options.in_background = true;
  const auto train = [&](comm::Communicator& ranks, bool resume, std::vector<StepReport>* reports) {
    SmallTraining training(ranks);
    const int64_t done =
        resume ? ValueOrThrow(Restore(folder / parallel::CheckpointName(2), training.parts())) : 0;
    std::vector<std::unique_ptr<Callback>> callbacks = ListOf(std::make_unique<Reports>(reports));
    if (!resume) {
      callbacks.push_back(std::make_unique<Checkpointing>(training.parts(), options, nullptr));
    }
    training.Run(done, 4, std::move(callbacks));
  };
  std::vector<StepReport> whole, resumed, ignored;
  RunOnDevices(2, [&](comm::Communicator& ranks, comm::FakeNccl&) {
    const size_t before = comm::RacesOf(ranks.rank()).races().size();
    train(ranks, false, ranks.rank() == 0 ? &whole : &ignored);
    EXPECT_THAT(RacesSince(ranks, before), IsEmpty());
  });
  comm::RunRanks(1, [&](comm::Communicator& ranks) { train(ranks, true, &resumed); });
  ASSERT_EQ(resumed.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(resumed[i].step, whole[2 + i].step);
    EXPECT_NEAR(resumed[i].loss, whole[2 + i].loss, 1e-5 * whole[2 + i].loss);
  }
}

TEST(Device, AnEvaluationWaitsForTheDeviceOnce) {
  const DataFiles files{{TextRows("a", 11, 20)}};
  RunOnDevices(1, [&](comm::Communicator& ranks, comm::FakeNccl&) {
    SmallTraining training(ranks);
    const auto corpus = files.Open({.sequence_length = 40});
    std::vector<uint64_t> rows;
    for (uint64_t row = 0; row < corpus->row_count(); ++row) rows.push_back(row);
    const auto held_out = ValueOrThrow(ValidationSet::Make(
        corpus.get(), rows, 0, 1, {.micro_batch_rows = 2, .sequence_length = 40}));
    EXPECT_GT(held_out->step_count(), 1u);
    comm::ForgetFakeUse(0);
    HeldOutLoss(training.engine, ranks, *held_out);
    EXPECT_THAT(comm::FakeUseOf(0).waits, ElementsAre("a copy to the host"));  // the loss
  });
}

}  // namespace
}  // namespace tanren::trainer
