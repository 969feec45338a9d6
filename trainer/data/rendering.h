// From a row of data to a document: the model's template and tokenizer, and what is trained on.
#ifndef TANREN_TRAINER_DATA_RENDERING_H_
#define TANREN_TRAINER_DATA_RENDERING_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "proto/recipe.pb.h"
#include "runtime/text/assistant_targets.h"
#include "runtime/text/chat_template.h"
#include "runtime/text/tokenizer.h"
#include "trainer/data/document.h"
#include "trainer/data/example.h"

namespace tanren::trainer {

struct RenderingOptions {
  DataRecipe::LossOn loss_on = DataRecipe::ASSISTANT;
  bool append_eos = true;
  // Passed to the chat template.
  nlohmann::ordered_json template_variables = nlohmann::ordered_json::object();
};

// Renders examples; any number of threads may use one.
//
// Conversations: what the template prints, with the tokens of EncodeChat (chat_tokens.h); nothing
// is put before or after. Targets are what the assistant writes with the token that ends its turn
// (runtime/text/assistant_targets.h), behind the prompt where one is set apart. A template that
// asks for the time is told the same day always, so that documents don't depend on when a run
// starts.
//
// Prompts with completions: the tokenizer's prefix, the prompt, the completion and the
// end-of-text token, each encoded for itself, so that no token reaches over the boundary, as none
// does when a model continues the prompt. Targets are the completion's and the end token.
//
// Plain text: prefix, text, end-of-text token; all of it is a target.
//
// The latter two are taken as written by whoever renders conversations himself: special tokens in
// them are tokens, and a prefix or end token that stands there is not doubled.
class DocumentRenderer {
 public:
  // Both have to outlive the renderer. `chat_template` may be null: then conversations are errors.
  DocumentRenderer(const text::Tokenizer& tokenizer, const text::ChatTemplate* chat_template,
                   RenderingOptions options);

  // kInvalidArgument for what is wrong with the example: what the template refuses, a conversation
  // that doesn't round-trip, nothing to train on. Other codes for what no example could change.
  absl::StatusOr<Document> Render(const Example& example) const;

  const text::Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  absl::StatusOr<Document> RenderConversation(const Conversation& conversation) const;
  absl::StatusOr<Document> RenderPrompt(const PromptCompletion& example) const;
  absl::StatusOr<Document> RenderText(const PlainText& example) const;
  absl::StatusOr<std::vector<text::TargetRange>> Targets(const text::RenderedChat& chat) const;
  absl::Status AppendEnd(Document* document) const;
  // A target must be there, and in a conversation something besides, or data.loss_on says "all".
  absl::Status CheckMask(const Document& document, bool is_conversation) const;

  const text::Tokenizer& tokenizer_;
  const text::ChatTemplate* chat_template_;
  RenderingOptions options_;
  std::vector<std::string> eos_;             // the end-of-text token, if there is one
  std::vector<std::string> special_tokens_;  // all of them, as written
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_RENDERING_H_
