// What a save that goes on beside training holds of memory.
#include "parallel/checkpoint/background_save.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>

#include "parallel/optimizer/adamw.h"
#include "runtime/base/error.h"
#include "runtime/comm/local.h"
#include "tests/parallel/checkpoint/training.h"

namespace tanren::parallel {
namespace {

// Masters and two moments of AdamW: 48 MB.
constexpr int64_t kRows = 4096, kWidth = 1024;
constexpr int64_t kStateBytes = 3 * 4 * kRows * kWidth;

class Table final : public Unit {
 public:
  const std::string& name() const override { return name_; }
  const std::vector<ParameterSpec>& parameters() const override { return parameters_; }
  Activations Forward(std::span<const at::Tensor>, Activations in) const override { return in; }

 private:
  std::string name_ = "table";
  std::vector<ParameterSpec> parameters_ = {
      {"table.weight", {kRows, kWidth}, true, true, {Initializer::Kind::kNormal, 0.5}}};
};

int64_t HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<int64_t>(info.uordblks + info.hblkhd);
}

TEST(BackgroundSave, HoldsNoCopyOfTheStateThatItWrites) {
  if (HeapBytes() == 0) GTEST_SKIP() << "a sanitizer's malloc doesn't count";
  const TemporaryFolder folder;
  const auto world = comm::SingleRank();
  Engine engine({std::make_shared<Table>()}, {}, *world, EngineOptions{});
  engine.Initialize(5);
  AdamW optimizer(engine.TrainableShards(), AdamWOptions{});
  const int64_t before = HeapBytes();
  std::atomic<int64_t> most = before;
  SaveOptions options;
  options.before_disk_operation = [&](std::string_view, const std::filesystem::path&) {
    most = std::max<int64_t>(most, HeapBytes());
    return absl::OkStatus();
  };
  for (int64_t step = 1; step <= 3; ++step) {
    const auto save = ValueOrThrow(BackgroundSave::Start(folder.path(), *world, engine, optimizer,
                                                         nullptr, {.step = step}, options));
    ThrowIfError(save->Publish());
  }
  EXPECT_LT(most - before, kStateBytes / 16);
  // The measure itself: a copy of the masters would show.
  const at::Tensor copy = at::empty({kRows, kWidth});
  EXPECT_GT(HeapBytes() - before, kStateBytes / 4);
}

}  // namespace
}  // namespace tanren::parallel
