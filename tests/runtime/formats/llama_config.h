// Configurations of Llamas, by their sizes.
#ifndef TANREN_TESTS_RUNTIME_FORMATS_LLAMA_CONFIG_H_
#define TANREN_TESTS_RUNTIME_FORMATS_LLAMA_CONFIG_H_

#include <cstdint>

#include "runtime/formats/model_config.h"

namespace tanren::formats {

struct LlamaSizes {
  int64_t hidden;
  int64_t intermediate;
  int64_t layers;
  int64_t heads;
  int64_t key_value_heads;
  int64_t head_dim;
  int64_t vocabulary;
};

// Its head is the embedding.
inline ModelConfig LlamaConfig(const LlamaSizes& sizes) {
  ModelConfig config;
  config.hidden_size = sizes.hidden;
  config.intermediate_size = sizes.intermediate;
  config.num_hidden_layers = sizes.layers;
  config.num_attention_heads = sizes.heads;
  config.num_key_value_heads = sizes.key_value_heads;
  config.head_dim = sizes.head_dim;
  config.vocab_size = sizes.vocabulary;
  config.tie_word_embeddings = true;
  return config;
}

// As SmolLM2-135M has them.
inline ModelConfig SmolLm2Config() {
  return LlamaConfig({.hidden = 576,
                      .intermediate = 1536,
                      .layers = 30,
                      .heads = 9,
                      .key_value_heads = 3,
                      .head_dim = 64,
                      .vocabulary = 49152});
}

}  // namespace tanren::formats

#endif  // TANREN_TESTS_RUNTIME_FORMATS_LLAMA_CONFIG_H_
