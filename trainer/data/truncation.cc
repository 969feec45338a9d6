#include "trainer/data/truncation.h"

#include "fmt/format.h"

namespace tanren::trainer {

double TargetWeight(const Document& document) {
  double sum = 0;
  for (size_t i = 1; i < document.weights.size(); ++i) sum += document.weights[i];
  return sum;
}

absl::StatusOr<Fit> Truncate(DataRecipe::Truncation rule, int64_t sequence_length,
                             Document* document) {
  const auto length = static_cast<int64_t>(document->tokens.size());
  if (length <= sequence_length) return Fit::kWhole;
  switch (rule) {
    case DataRecipe::DROP:
      return Fit::kTooLong;
    case DataRecipe::FAIL:
      return absl::OutOfRangeError(
          fmt::format("{} tokens, where data.sequence_length is {} and data.truncation is fail",
                      length, sequence_length));
    case DataRecipe::KEEP_START:
      document->tokens.resize(static_cast<size_t>(sequence_length));
      document->weights.resize(static_cast<size_t>(sequence_length));
      break;
    case DataRecipe::KEEP_END: {
      const auto cut = length - sequence_length;
      document->tokens.erase(document->tokens.begin(), document->tokens.begin() + cut);
      document->weights.erase(document->weights.begin(), document->weights.begin() + cut);
      break;
    }
  }
  return TargetWeight(*document) > 0 ? Fit::kCut : Fit::kNoTargets;
}

}  // namespace tanren::trainer
