#include "trainer/rollout/sequence_cache.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "runtime/base/error.h"
#include "runtime/formats/model_files.h"
#include "runtime/kernels/linear_cross_entropy.h"
#include "trainer/rollout/resident_model.h"

namespace tanren::trainer {
namespace {

// The tiny golden models of each family: tests/golden/llama.py, qwen.py.
class CachedGeneration : public testing::TestWithParam<const char*> {
 protected:
  static ResidentModel Load(at::ScalarType dtype) {
    const auto files =
        ValueOrThrow(formats::ModelFiles::Open(std::filesystem::path("tests/golden") / GetParam()));
    return ResidentModel::Load(
        ValueOrThrow(BuildModel(files.config())),
        [&](const std::string& name, int64_t begin, int64_t end, std::span<float> values) {
          ThrowIfError(files.weights().Read(name, begin, end, values));
        },
        dtype);
  }

  // Logits after the last token of each sequence, whose first `lengths` tokens the model has seen.
  static at::Tensor LastLogits(const ResidentModel& model,
                               const std::vector<std::vector<int64_t>>& sequences,
                               const std::vector<int64_t>& lengths,
                               parallel::KeyValueCache* cache) {
    std::vector<int64_t> tokens, positions, offsets = {0}, last_rows;
    for (size_t i = 0; i < sequences.size(); ++i) {
      for (int64_t at = lengths[i]; at < std::ssize(sequences[i]); ++at) {
        tokens.push_back(sequences[i][at]);
        positions.push_back(at);
      }
      offsets.push_back(std::ssize(tokens));
      last_rows.push_back(std::ssize(tokens) - 1);
    }
    parallel::Activations input;
    input.tokens_T = at::tensor(tokens, at::kLong);
    input.positions_T = at::tensor(positions, at::kLong);
    input.document_offsets = at::tensor(offsets, at::kLong);
    input.cache = cache;
    const at::Tensor hidden_TD = model.Forward(std::move(input));
    return kernels::Logits(hidden_TD.index_select(0, at::tensor(last_rows, at::kLong)),
                           model.head_weight_VD());
  }
};

TEST_P(CachedGeneration, GivesTheLogitsOfAFullRecomputationTokenByToken) {
  const ResidentModel model = Load(at::kFloat);
  // Unequal prompts, side by side.
  std::vector<std::vector<int64_t>> sequences = {{7, 60, 3, 3, 21}, {42}, {5, 4, 3}};
  SequenceCache cache(model.layer_count(), 3);
  std::vector<int64_t> lengths(sequences.size(), 0);
  for (int step = 0; step < 20; ++step) {
    std::vector<int64_t> new_tokens;
    for (size_t i = 0; i < sequences.size(); ++i) {
      new_tokens.push_back(std::ssize(sequences[i]) - lengths[i]);
    }
    cache.Select({0, 1, 2}, new_tokens);
    const at::Tensor cached_NV = LastLogits(model, sequences, lengths, &cache);
    cache.Advance();
    const at::Tensor full_NV = LastLogits(model, sequences, {0, 0, 0}, nullptr);
    // Sums over other blocks of keys round differently.
    EXPECT_LE((cached_NV - full_NV).abs().max().item<double>(),
              1e-5 * full_NV.abs().max().item<double>())
        << "after " << step << " tokens";
    const at::Tensor next_N = cached_NV.argmax(1);
    ASSERT_TRUE(next_N.equal(full_NV.argmax(1))) << "after " << step << " tokens";
    for (size_t i = 0; i < sequences.size(); ++i) {
      lengths[i] = std::ssize(sequences[i]);
      sequences[i].push_back(next_N[static_cast<int64_t>(i)].item<int64_t>());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, CachedGeneration,
                         testing::Values("llama/tied", "llama/llama3_rope", "qwen/qwen2_tied",
                                         "qwen/qwen2_untied", "qwen/qwen3"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '/', '_');
                           return name;
                         });

}  // namespace
}  // namespace tanren::trainer
