// The Llama family, and the families that share its blocks: Llama 2 and 3.x, SmolLM2; Qwen 2 and
// 2.5, with biases; Qwen 3, which normalises each head's queries and keys.
#ifndef TANREN_TRAINER_MODEL_LLAMA_H_
#define TANREN_TRAINER_MODEL_LLAMA_H_

#include "runtime/formats/model_config.h"
#include "trainer/model/model.h"

namespace tanren::trainer {

// Embedding, blocks of attention and feed-forward network, final norm. arXiv:2302.13971, with
// grouped key-value heads (arXiv:2305.13245); biases (arXiv:2407.10671) and norms of queries and
// keys (arXiv:2505.09388) where the configuration has them. Parameters have the names of Hugging
// Face's LlamaForCausalLM, Qwen2ForCausalLM and Qwen3ForCausalLM. Throws for a configuration that
// contradicts itself.
Model BuildLlama(const formats::ModelConfig& config);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_MODEL_LLAMA_H_
