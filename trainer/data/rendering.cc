#include "trainer/data/rendering.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/text/assistant_targets.h"
#include "trainer/data/chat_tokens.h"
#include "trainer/data/truncation.h"

namespace tanren::trainer {
namespace {

using text::SpecialTokens;

// The day that Llama's templates name where nobody tells them one.
constexpr std::chrono::local_seconds kDay =
    std::chrono::local_days{std::chrono::year{2024} / std::chrono::July / 26};

std::optional<std::string> TextOf(const text::Tokenizer& tokenizer, std::optional<int32_t> id) {
  if (!id) return std::nullopt;
  const auto token = tokenizer.IdToToken(*id);
  return token ? std::optional<std::string>(*token) : std::nullopt;
}

void Append(const std::vector<int32_t>& tokens, float weight, Document* document) {
  document->tokens.insert(document->tokens.end(), tokens.begin(), tokens.end());
  document->weights.resize(document->tokens.size(), weight);
}

// The tokens that a tokenizer puts before a text, unless the text begins with them.
void AppendPrefix(const std::vector<int32_t>& prefix, const std::vector<int32_t>& text,
                  float weight, Document* document) {
  const bool there =
      text.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), text.begin());
  if (!there) Append(prefix, weight, document);
}

absl::Status Problems(const std::vector<text::RoundTripProblem>& problems) {
  if (problems.empty()) return absl::OkStatus();
  const text::RoundTripProblem& first = problems.front();
  return absl::InvalidArgumentError(
      fmt::format("messages[{}].{}: {}", first.message, first.field, first.what));
}

// Limits that one conversation passes are that conversation's fault.
absl::Status AsRowsFault(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kResourceExhausted) return status;
  return absl::InvalidArgumentError(std::string(status.message()));
}

}  // namespace

DocumentRenderer::DocumentRenderer(const text::Tokenizer& tokenizer,
                                   const text::ChatTemplate* chat_template,
                                   RenderingOptions options)
    : tokenizer_(tokenizer), chat_template_(chat_template), options_(std::move(options)) {
  if (const auto eos = TextOf(tokenizer, tokenizer.eos_id())) eos_.push_back(*eos);
  for (int32_t id = 0; id < tokenizer.vocabulary_size(); ++id) {
    if (!tokenizer.IsSpecial(id)) continue;
    if (auto token = TextOf(tokenizer, id)) special_tokens_.push_back(*std::move(token));
  }
}

absl::StatusOr<Document> DocumentRenderer::Render(const Example& example) const {
  const auto render = [this, &example]() -> absl::StatusOr<Document> {
    try {
      if (const auto* chat = std::get_if<Conversation>(&example)) return RenderConversation(*chat);
      if (const auto* pair = std::get_if<PromptCompletion>(&example)) return RenderPrompt(*pair);
      return RenderText(std::get<PlainText>(example));
    } catch (const Error& error) {  // of the tokenizer, about this text
      return AsRowsFault(error.status());
    }
  };
  TANREN_ASSIGN_OR_RETURN(Document document, render());
  if (options_.loss_on == DataRecipe::ALL) {
    std::fill(document.weights.begin(), document.weights.end(), 1.0f);
  }
  TANREN_RETURN_IF_ERROR(CheckMask(document, std::holds_alternative<Conversation>(example)));
  return document;
}

absl::Status DocumentRenderer::CheckMask(const Document& document, bool is_conversation) const {
  const bool trains_on_all = options_.loss_on == DataRecipe::ALL;
  if (TargetWeight(document) <= 0) {
    return absl::InvalidArgumentError(fmt::format(
        "nothing to train on: none of its {} tokens is a target{}", document.tokens.size(),
        is_conversation && !trains_on_all
            ? "; it has no message of the assistant, or the template writes none"
            : ""));
  }
  const bool all = std::all_of(document.weights.begin(), document.weights.end(),
                               [](float weight) { return weight > 0; });
  if (!is_conversation || trains_on_all || !all) return absl::OkStatus();
  // Nobody asked anything: a template without roles, most likely, or text in the wrong format.
  return absl::InvalidArgumentError(
      fmt::format("each of its {} tokens is a target, and none tells what is answered; where that "
                  "is meant, set data.loss_on: all",
                  document.tokens.size()));
}

absl::StatusOr<Document> DocumentRenderer::RenderConversation(
    const Conversation& conversation) const {
  if (chat_template_ == nullptr) {
    return absl::FailedPreconditionError(
        "a conversation, but the model has no chat template; model.chat_template names one");
  }
  if (const absl::Status tools = CheckNoSpecialTokens(conversation.tools, tokenizer_);
      !tools.ok()) {
    return Annotate(tools, "tools");
  }
  text::ChatInput input{.messages = conversation.messages,
                        .tools = conversation.tools,
                        .bos_token = TextOf(tokenizer_, tokenizer_.bos_id()),
                        .eos_token = TextOf(tokenizer_, tokenizer_.eos_id()),
                        .variables = options_.template_variables,
                        .now = kDay};
  if (auto pad = TextOf(tokenizer_, tokenizer_.pad_id())) input.special_tokens["pad_token"] = *pad;
  const absl::StatusOr<text::RenderedChat> chat = chat_template_->Render(input);
  if (!chat.ok()) return AsRowsFault(chat.status());
  TANREN_ASSIGN_OR_RETURN(std::vector<text::TargetRange> targets, Targets(*chat));
  const auto prompt_messages = static_cast<int>(conversation.prompt_messages);
  std::erase_if(targets, [prompt_messages](const text::TargetRange& target) {
    return target.message < prompt_messages && prompt_messages > 0;
  });
  text::Encoding encoding = EncodeChat(*chat, tokenizer_);
  std::vector<float> weights = TargetWeights(encoding, targets);
  return Document{.tokens = std::move(encoding.ids), .weights = std::move(weights)};
}

absl::StatusOr<std::vector<text::TargetRange>> DocumentRenderer::Targets(
    const text::RenderedChat& chat) const {
  using Which = text::TargetOptions::Which;
  text::TargetOptions options{.which = options_.loss_on == DataRecipe::LAST_ANSWER
                                           ? Which::kLastAssistantMessage
                                           : Which::kAllAssistantMessages,
                              .end_tokens = eos_};
  text::AssistantTargetReport report = text::ReportAssistantTargets(chat, options);
  TANREN_RETURN_IF_ERROR(Problems(report.problems));
  // Some models end a turn with another token than the text: "<|eot_id|>".
  const bool all_ended = std::all_of(report.ranges.begin(), report.ranges.end(),
                                     [](const text::TargetRange& range) { return range.ended; });
  if (!all_ended && !chat.has_generation_blocks) {
    options.end_tokens = special_tokens_;
    report = text::ReportAssistantTargets(chat, options);
  }
  return std::move(report.ranges);
}

absl::StatusOr<Document> DocumentRenderer::RenderPrompt(const PromptCompletion& example) const {
  const auto prompt = tokenizer_.Encode(example.prompt, SpecialTokens::kParse);
  const auto completion = tokenizer_.Encode(example.completion, SpecialTokens::kParse);
  Document document;
  AppendPrefix(tokenizer_.prefix_ids(), prompt, 0, &document);
  Append(prompt, 0, &document);
  Append(completion, 1, &document);
  TANREN_RETURN_IF_ERROR(AppendEnd(&document));
  return document;
}

absl::StatusOr<Document> DocumentRenderer::RenderText(const PlainText& example) const {
  if (example.text.empty()) {
    return absl::InvalidArgumentError("nothing to train on: \"text\" is empty");
  }
  const auto text = tokenizer_.Encode(example.text, SpecialTokens::kParse);
  Document document;
  AppendPrefix(tokenizer_.prefix_ids(), text, 1, &document);
  Append(text, 1, &document);
  TANREN_RETURN_IF_ERROR(AppendEnd(&document));
  return document;
}

absl::Status DocumentRenderer::AppendEnd(Document* document) const {
  if (!options_.append_eos) return absl::OkStatus();
  const auto eos = tokenizer_.eos_id();
  if (!eos) {
    return absl::FailedPreconditionError(
        "the tokenizer names no end-of-text token, and data.append_eos is true");
  }
  if (document->tokens.empty() || document->tokens.back() != *eos) Append({*eos}, 1, document);
  return absl::OkStatus();
}

}  // namespace tanren::trainer
