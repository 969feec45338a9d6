// The Llama family: Llama 2 and 3.x, SmolLM2, and others that share their blocks.
#ifndef TANREN_TRAINER_MODEL_LLAMA_H_
#define TANREN_TRAINER_MODEL_LLAMA_H_

#include "runtime/formats/model_config.h"
#include "trainer/model/model.h"

namespace tanren::trainer {

// Embedding, blocks of attention and feed-forward network, final norm. arXiv:2302.13971, with
// grouped key-value heads (arXiv:2305.13245). Parameters have the names of Hugging Face's
// LlamaForCausalLM. Throws for a configuration that contradicts itself.
Model BuildLlama(const formats::ModelConfig& config);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_MODEL_LLAMA_H_
