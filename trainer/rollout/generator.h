// Generates answers to many prompts of unequal length side by side: when one ends, the next one
// takes its place.
#ifndef TANREN_TRAINER_ROLLOUT_GENERATOR_H_
#define TANREN_TRAINER_ROLLOUT_GENERATOR_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/tokenizer.h"
#include "trainer/rollout/resident_model.h"
#include "trainer/rollout/sampler.h"

namespace tanren::trainer {

struct GenerationRequest {
  std::vector<int32_t> prompt;  // not empty
  int64_t max_new_tokens = 256;
  SamplingOptions sampling;
  // Random draws are a function of (seed, this, position): not of what else is generated.
  uint32_t sequence = 0;
  std::vector<std::string> stop;  // a text that ends before the first of these
};

enum class FinishReason {
  kStop,    // an end token or a stop string
  kLength,  // max_new_tokens, or the model's longest position
};
// "stop" or "length".
std::string_view Name(FinishReason reason);

struct Generation {
  std::vector<int32_t> ids;  // all that were generated, the end token included
  // Without special tokens, before a stop string, and before a character that kLength cut in two.
  std::string text;
  FinishReason finish_reason = FinishReason::kLength;
};

struct GeneratorOptions {
  std::vector<int32_t> end_tokens;
  int64_t max_positions = 0;  // of the model; 0: no limit
  int batch_size = 8;         // sequences side by side
};

class Generator {
 public:
  // The model and the tokenizer must outlive the generator.
  Generator(const ResidentModel& model, const text::Tokenizer& tokenizer, GeneratorOptions options);

  // Called with new text of a request as it comes, and with a request's whole result at its end.
  struct Listener {
    std::function<void(size_t request, std::string_view text)> text;
    std::function<void(size_t request, const Generation& generation)> finished;
  };

  // In the order of the requests. Throws Error(kInvalidArgument) for an empty prompt, or one that
  // leaves no position for an answer, before anything is generated.
  std::vector<Generation> Generate(std::span<const GenerationRequest> requests,
                                   const Listener& listener = {}) const;

 private:
  class Run;
  void Check(std::span<const GenerationRequest> requests) const;
  int64_t LimitOf(const GenerationRequest& request) const;

  const ResidentModel& model_;
  const text::Tokenizer& tokenizer_;
  GeneratorOptions options_;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_ROLLOUT_GENERATOR_H_
