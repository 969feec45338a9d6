// What happens to a document that is longer than a row.
#ifndef TANREN_TRAINER_DATA_TRUNCATION_H_
#define TANREN_TRAINER_DATA_TRUNCATION_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "proto/recipe.pb.h"
#include "trainer/data/document.h"

namespace tanren::trainer {

// The sum of the weights that count: all but the first token's, which nothing predicts.
double TargetWeight(const Document& document);

enum class Fit {
  kWhole,      // as it was
  kCut,        // shortened; it still has a target
  kTooLong,    // to be left out, for the recipe says so
  kNoTargets,  // to be left out: no target is left of it
};

// Shortens `document` to `sequence_length` tokens, at the end that the rule says. KEEP_END cuts the
// start, with the tokens that a template or tokenizer put there.
// FAIL: kOutOfRange with both lengths.
absl::StatusOr<Fit> Truncate(DataRecipe::Truncation rule, int64_t sequence_length,
                             Document* document);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_TRUNCATION_H_
