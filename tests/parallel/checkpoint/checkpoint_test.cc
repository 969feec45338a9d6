#include "parallel/checkpoint/checkpoint.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "parallel/checkpoint/checkpoint_folder.h"
#include "parallel/checkpoint/checkpoint_reader.h"
#include "parallel/optimizer/sgd.h"
#include "runtime/base/error.h"
#include "runtime/comm/local.h"
#include "tests/parallel/checkpoint/training.h"

namespace tanren::parallel {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr int kSaved = 2;
constexpr int kSteps = 4;

std::string MessageOf(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

struct Way {
  int ranks;
  int zero_stage;
};

std::vector<Way> AllWays() {
  std::vector<Way> ways;
  for (const int ranks : {1, 2, 4}) {
    for (const int stage : {1, 2, 3}) ways.push_back({ranks, stage});
  }
  return ways;
}

TEST(Checkpoint, ResumesOnAnyNumberOfRanksAndInAnyZeroStage) {
  for (const Way& from : AllWays()) {
    const TemporaryFolder temporary;
    TrainingRun saving{.ranks = from.ranks};
    saving.options.zero_stage = from.zero_stage;
    saving.save_at = kSaved;
    saving.folder = temporary.path() / "run" / "checkpoints";
    const Tensors uninterrupted = Train(saving, kSteps);
    for (const Way& to : AllWays()) {
      TrainingRun resuming{.ranks = to.ranks, .resume = saving.folder / "step-00000002"};
      resuming.options.zero_stage = to.zero_stage;
      const Tensors resumed = Train(resuming, kSteps);
      // Other ranks, and ZeRO-1's sum over micro-batches, add gradients in another order.
      if (from.ranks == to.ranks && from.zero_stage == to.zero_stage) {
        EXPECT_TRUE(BitwiseEqual(resumed, uninterrupted)) << from.ranks << " ranks";
      }
      EXPECT_LE(Difference(resumed, uninterrupted), 1e-6)
          << from.ranks << " to " << to.ranks << " ranks, ZeRO-" << from.zero_stage << " to "
          << to.zero_stage;
    }
  }
}

TEST(Checkpoint, FrozenParametersInAnotherDtypeAreStoredExactly) {
  const TemporaryFolder temporary;
  TrainingRun run{.ranks = 2, .toy = {.tied = false, .frozen_units = 3}};
  run.options.compute_dtype = at::kBFloat16;
  run.save_at = kSaved;
  run.folder = temporary.path();
  const Tensors uninterrupted = Train(run, kSteps);
  run.save_at = 0;
  run.resume = temporary.path() / "step-00000002";
  EXPECT_TRUE(BitwiseEqual(Train(run, kSteps), uninterrupted));
}

TEST(Checkpoint, LoadingReplacesEverythingThatWasThere) {
  const TemporaryFolder temporary;
  const auto world = comm::SingleRank();
  Training saved(*world, {});
  saved.Step(0);
  ASSERT_TRUE(saved.Save(temporary.path(), {.step = 1}).ok());
  Training other(*world, {});
  for (int step = 5; step < 8; ++step) other.Step(step);
  ASSERT_TRUE(other.Load(temporary.path() / "step-00000001").ok());
  EXPECT_EQ(other.optimizer().steps_taken(), 1);
  saved.Step(1), other.Step(1);
  EXPECT_TRUE(BitwiseEqual(saved.Parameters(), other.Parameters()));
}

TEST(Checkpoint, WhatTheLoopKeepsComesBack) {
  const TemporaryFolder temporary;
  comm::RunRanks(2, [&](comm::Communicator& world) {
    Training training(world, {});
    training.Step(0);
    LossScaler scaler({.initial = 1024});
    scaler.set_state({0.1, 17});
    const CheckpointMeta meta{.step = 123456789,
                              .metric = 0.1 + 0.2,
                              .extra = {{"cursor", "12\n{\"日本\": 1}"}, {"", ""}}};
    ThrowIfError(SaveCheckpoint(temporary.path(), world, training.engine(), training.optimizer(),
                                &scaler, meta));
    LossScaler loaded({});
    const auto found = LoadCheckpoint(temporary.path() / "step-123456789", world, training.engine(),
                                      training.optimizer(), &loaded);
    ThrowIfError(found.status());
    EXPECT_EQ(found->step, meta.step);
    EXPECT_EQ(found->metric, meta.metric);
    EXPECT_EQ(found->extra, meta.extra);
    EXPECT_EQ(found->world_size, 2);
    EXPECT_EQ(found->optimizer_steps, 1);
    EXPECT_EQ(loaded.state(), scaler.state());
  });
}

TEST(Checkpoint, WeightsAreReadWithoutTheOptimizerInAnyParts) {
  const TemporaryFolder temporary;
  const Tensors expected = Train({.ranks = 4, .save_at = 1, .folder = temporary.path()}, 1);
  const auto reader = CheckpointReader::Open(temporary.path() / "step-00000001");
  ASSERT_TRUE(reader.ok()) << reader.status();
  ASSERT_EQ(reader->parameters().size(), expected.size());
  for (const auto& parameter : reader->parameters()) {
    const at::Tensor value = expected.at(parameter.name);
    EXPECT_EQ(parameter.shape, value.sizes().vec());
    EXPECT_TRUE(parameter.trained);
    at::Tensor read = at::empty({value.numel()}, at::kFloat);
    for (int64_t begin = 0; begin < value.numel(); begin += 7) {
      const int64_t end = std::min(begin + 7, value.numel());
      ThrowIfError(
          reader->Read(parameter.name, begin, end,
                       {read.data_ptr<float>() + begin, static_cast<size_t>(end - begin)}));
    }
    EXPECT_TRUE(at::equal(read.view(value.sizes()), value)) << parameter.name;
  }
  // A model of frozen weights, as generation has it.
  const auto world = comm::SingleRank();
  Training frozen(*world, {.frozen_units = 99});
  frozen.engine().LoadParameters(reader->Weights());
  EXPECT_TRUE(BitwiseEqual(frozen.Parameters(), expected));
}

TEST(Checkpoint, WeightsAreLoadedWhereTheyAreFrozenAndMustFit) {
  const TemporaryFolder temporary;
  const Tensors expected = Train({.ranks = 2, .save_at = 1, .folder = temporary.path()}, 1);
  const fs::path checkpoint = temporary.path() / "step-00000001";
  comm::RunRanks(3, [&](comm::Communicator& world) {
    Training frozen(world, {.frozen_units = 99});
    EXPECT_EQ(ValueOrThrow(LoadWeights(checkpoint, world, frozen.engine())).step, 1);
    EXPECT_TRUE(BitwiseEqual(frozen.Parameters(), expected));
    Training larger(world, {.blocks = 4});
    EXPECT_THAT(MessageOf(LoadWeights(checkpoint, world, larger.engine()).status()),
                HasSubstr("3 wanted but not stored: weight of 'layers.3.linear.bias'"));
  });
}

TEST(Checkpoint, AnAdaptersCheckpointNeedsNoBase) {
  const TemporaryFolder temporary;
  const ToyOptions toy{.tied = false, .frozen_units = 2};
  Tensors expected;
  comm::RunRanks(2, [&](comm::Communicator& world) {
    Training training(world, toy);
    training.Step(0);
    ThrowIfError(training.Save(temporary.path(), {.step = 1}, {.store_frozen = false}));
    training.Step(1);
    auto parameters = training.Parameters();
    if (world.rank() == 0) expected = std::move(parameters);
  });
  const fs::path checkpoint = temporary.path() / "step-00000001";
  const auto reader = CheckpointReader::Open(checkpoint);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_FALSE(reader->HasParameter("embed.weight"));
  EXPECT_TRUE(reader->HasParameter("lm_head.weight"));
  EXPECT_TRUE(BitwiseEqual(Train({.ranks = 2, .toy = toy, .resume = checkpoint}, 2), expected));
  // Whoever trains the base needs it.
  const auto world = comm::SingleRank();
  Training trained(*world, {.tied = false});
  EXPECT_THAT(MessageOf(trained.Load(checkpoint).status()),
              HasSubstr("wanted but not stored: master of 'embed.weight'"));
}

TEST(Checkpoint, OfSeveralReplicasOneWrites) {
  const TemporaryFolder temporary;
  Tensors expected;
  comm::RunRanks(4, [&](comm::Communicator& world) {
    const auto shard_axis = world.Split(world.rank() / 2, world.rank(), "shard");
    Training training(*shard_axis, {});
    training.Step(0);
    ThrowIfError(SaveCheckpoint(temporary.path(), world, training.engine(), training.optimizer(),
                                nullptr, {.step = 1}));
    auto parameters = training.Parameters();
    if (world.rank() == 0) expected = std::move(parameters);
  });
  EXPECT_TRUE(fs::exists(temporary.path() / "step-00000001" / "rank-0001-of-0002.tanren"));
  EXPECT_TRUE(BitwiseEqual(Train({.resume = temporary.path() / "step-00000001"}, 1), expected));
}

TEST(Checkpoint, AnotherModelOrOptimizerIsAnErrorOnEveryRankAndChangesNothing) {
  const TemporaryFolder temporary;
  Train({.save_at = 1, .folder = temporary.path()}, 1);
  const fs::path checkpoint = temporary.path() / "step-00000001";
  comm::RunRanks(2, [&](comm::Communicator& world) {
    Training untied(world, {.blocks = 2, .tied = false});
    const auto before = untied.Parameters();
    EXPECT_THAT(
        MessageOf(untied.Load(checkpoint).status()),
        AllOf(HasSubstr(checkpoint.string() + ": saved by a training of another model, which "),
              HasSubstr("master of 'lm_head.weight'"),
              HasSubstr("master of 'layers.2.linear.weight'")));
    EXPECT_TRUE(BitwiseEqual(untied.Parameters(), before));

    Training training(world, {});
    Sgd sgd(training.engine().TrainableShards(), {.momentum = 0.9});
    EXPECT_THAT(
        MessageOf(LoadCheckpoint(checkpoint, world, training.engine(), sgd, nullptr).status()),
        AllOf(HasSubstr(checkpoint.string() + ": saved by a training of another optimizer, "),
              HasSubstr("momentum_buffer of 'embed.weight'"), HasSubstr("exp_avg of")));
  });
}

}  // namespace
}  // namespace tanren::parallel
