// How answers are sampled: the flags of generate and chat, and the keys of a request that override
// them.
#ifndef TANREN_TRAINER_COMMANDS_GENERATION_ARGUMENTS_H_
#define TANREN_TRAINER_COMMANDS_GENERATION_ARGUMENTS_H_

#include <CLI/CLI.hpp>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "trainer/rollout/generator.h"

namespace tanren::trainer {

// --max-new-tokens, --temperature, --top-k, --top-p, --min-p, --repetition-penalty, --logit-bias
// (ID=VALUE), --seed, --stop; `defaults` holds what is not given, and gets what is.
void AddGenerationFlags(CLI::App& command, GenerationRequest& defaults);

// `defaults` with what the request says: max_new_tokens, temperature, top_k, top_p, min_p,
// repetition_penalty, logit_bias ({"ID": value}, instead of that of `defaults`), seed, stop (a
// string or several). kInvalidArgument for a value of another type or out of range.
absl::StatusOr<GenerationRequest> WithOverrides(const nlohmann::ordered_json& request,
                                                GenerationRequest defaults);

// kInvalidArgument where logit_bias names a token that the model doesn't have.
absl::Status CheckTokens(const SamplingOptions& sampling, int64_t vocabulary_size);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_COMMANDS_GENERATION_ARGUMENTS_H_
