// Multiple choice by log-likelihood: which of several answers a model finds likeliest.
#ifndef TANREN_TRAINER_ROLLOUT_MULTIPLE_CHOICE_H_
#define TANREN_TRAINER_ROLLOUT_MULTIPLE_CHOICE_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "runtime/text/chat_template.h"
#include "runtime/text/tokenizer.h"
#include "trainer/data/document.h"
#include "trainer/rollout/resident_model.h"

namespace tanren::trainer {

struct ChoiceQuestion {
  nlohmann::ordered_json request;    // with "messages" or "prompt"
  std::vector<std::string> choices;  // two or more, none empty, no two the same
  size_t right = 0;                  // index of the right one
  std::string where;                 // "file:line"
};

// Reads JSONL: {"messages" or "prompt", "choices", "answer"}, where "answer" is the right choice's
// text or its index from 0; at most `limit` questions (0: all). Errors name file:line.
absl::StatusOr<std::vector<ChoiceQuestion>> ReadChoiceQuestions(const std::filesystem::path& path,
                                                                int64_t limit);

// A document for each choice; its targets are the choice's tokens.
//
// Of "messages" the choice is the content of the assistant's answer as the chat template renders
// it; what the template writes behind it, with the end token, is left out. Of "prompt" it is what
// the prompt and the choice, encoded as one text, hold more than the prompt alone: all behind the
// longest run of tokens that both begin with. So a token that holds bytes of both is the choice's.
// All choices of a question begin to count at the same token, the first one that is any choice's:
// each is then a continuation of the same tokens, and their probabilities can be compared.
//
// kInvalidArgument, behind `question.where`, where the template loses a choice, where no token
// stands before the choices, and for more tokens than `max_positions` (0: no limit).
absl::StatusOr<std::vector<Document>> ChoiceDocuments(const ChoiceQuestion& question,
                                                      const text::ChatTemplate* chat_template,
                                                      const text::Tokenizer& tokenizer,
                                                      int64_t max_positions);

// Σ log p of each document's targets, in nats. Documents share forward passes of at most
// `batch_tokens` tokens; a longer one has its own. `done`, if given, is told after each pass how
// many documents have been scored.
std::vector<double> LogLikelihoods(const ResidentModel& model, std::span<const Document> documents,
                                   int64_t batch_tokens,
                                   const std::function<void(size_t)>& done = nullptr);

// Which choices are taken; the first among equals. `by_sum` is the likeliest (acc of
// lm-evaluation-harness), `by_mean` the one with the highest log-likelihood a byte (its acc_norm,
// which counts characters: the same in ASCII). White space around a choice doesn't count as bytes:
// before a choice it is the space that the harness puts there itself.
struct ChosenIndices {
  size_t by_sum = 0;
  size_t by_mean = 0;
};
ChosenIndices Choose(std::span<const std::string> choices, std::span<const double> log_likelihoods);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_ROLLOUT_MULTIPLE_CHOICE_H_
