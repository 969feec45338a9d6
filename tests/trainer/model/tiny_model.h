// A model of one block with SmolLM2's tokenizer and template: for tests of what is written of a
// model, and read again.
#ifndef TANREN_TESTS_TRAINER_MODEL_TINY_MODEL_H_
#define TANREN_TESTS_TRAINER_MODEL_TINY_MODEL_H_

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>

#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "trainer/model/pretrained.h"

namespace tanren::trainer {

// Writes its configuration into `folder`. A weight's value follows from its place and its name.
inline PretrainedModel TinyModel(const std::filesystem::path& folder, int64_t vocabulary,
                                 int32_t end_token) {
  const nlohmann::json config = {{"architectures", {"LlamaForCausalLM"}},
                                 {"model_type", "llama"},
                                 {"hidden_size", 8},
                                 {"intermediate_size", 16},
                                 {"num_hidden_layers", 1},
                                 {"num_attention_heads", 2},
                                 {"num_key_value_heads", 1},
                                 {"vocab_size", vocabulary},
                                 {"max_position_embeddings", 32},
                                 {"rms_norm_eps", 1e-5},
                                 {"rope_theta", 10000.0},
                                 {"tie_word_embeddings", true},
                                 {"hidden_act", "silu"},
                                 {"bos_token_id", 1},
                                 {"eos_token_id", end_token}};
  std::ofstream(folder / "tiny.json") << config;
  ModelPaths paths;
  paths.config = folder / "tiny.json";
  paths.tokenizer = TANREN_TEST_MODEL;
  PretrainedModel model = ValueOrThrow(OpenPretrained(paths));
  model.read = [](const std::string& name, int64_t begin, int64_t end, std::span<float> values) {
    for (int64_t i = begin; i < end; ++i) {
      values[i - begin] =
          static_cast<float>((i * 31 + static_cast<int64_t>(name.size())) % 97) / 64;
    }
  };
  return model;
}

}  // namespace tanren::trainer

#endif  // TANREN_TESTS_TRAINER_MODEL_TINY_MODEL_H_
