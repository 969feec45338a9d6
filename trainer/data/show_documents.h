// What a model will be trained on, for people to look at before it is.
#ifndef TANREN_TRAINER_DATA_SHOW_DOCUMENTS_H_
#define TANREN_TRAINER_DATA_SHOW_DOCUMENTS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "proto/recipe.pb.h"
#include "runtime/text/chat_template.h"
#include "runtime/text/tokenizer.h"

namespace tanren::trainer {

struct ShowOptions {
  int64_t documents = 5;
  // Targets are green on a terminal; else they stand in ⟦…⟧.
  bool color = false;
  int threads = 1;
};

// The first documents that the recipe trains on, in the order of training, each with the place it
// comes from, its tokens, its targets, and where in the step it stands; then the totals of one pass
// over all sources: documents, tokens, the share trained on, what was cut, dropped or bad, and how
// full the rows are. Control characters of the data are shown as \xNN: they could command the
// terminal. Errors as of OpenTrainingData.
absl::StatusOr<std::string> ShowDocuments(const Recipe& recipe, const text::Tokenizer& tokenizer,
                                          const text::ChatTemplate* chat_template,
                                          const ShowOptions& options);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_SHOW_DOCUMENTS_H_
