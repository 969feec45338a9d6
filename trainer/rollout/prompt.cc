#include "trainer/rollout/prompt.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "trainer/data/chat_tokens.h"

namespace tanren::trainer {
namespace {

std::chrono::local_seconds LocalNow() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return std::chrono::local_seconds(std::chrono::seconds(timegm(&local)));
}

std::optional<std::string> TokenText(const text::Tokenizer& tokenizer, std::optional<int32_t> id) {
  if (!id) return std::nullopt;
  return std::string(tokenizer.IdToToken(*id).value_or(""));
}

}  // namespace

std::vector<int32_t> PromptOfText(std::string_view prompt, const text::Tokenizer& tokenizer) {
  std::vector<int32_t> ids = tokenizer.Encode(prompt, text::SpecialTokens::kParse);
  const std::vector<int32_t>& prefix = tokenizer.prefix_ids();
  if (ids.size() < prefix.size() || !std::equal(prefix.begin(), prefix.end(), ids.begin())) {
    ids.insert(ids.begin(), prefix.begin(), prefix.end());
  }
  return ids;
}

text::ChatInput ChatInputFor(const text::Tokenizer& tokenizer) {
  text::ChatInput input;
  input.bos_token = TokenText(tokenizer, tokenizer.bos_id());
  input.eos_token = TokenText(tokenizer, tokenizer.eos_id());
  input.now = LocalNow();
  return input;
}

absl::StatusOr<std::vector<int32_t>> PromptOfConversation(const nlohmann::ordered_json& messages,
                                                          const nlohmann::ordered_json& tools,
                                                          const text::ChatTemplate* chat_template,
                                                          const text::Tokenizer& tokenizer) {
  if (chat_template == nullptr) {
    return absl::FailedPreconditionError(
        "the model has no chat template: give \"prompt\" instead of \"messages\"");
  }
  text::ChatInput input = ChatInputFor(tokenizer);
  input.messages = messages;
  input.tools = tools;
  input.add_generation_prompt = true;
  TANREN_RETURN_IF_ERROR(CheckNoSpecialTokens(tools, tokenizer));
  TANREN_ASSIGN_OR_RETURN(const text::RenderedChat chat, chat_template->Render(input));
  return EncodeChat(chat, tokenizer).ids;
}

absl::StatusOr<std::vector<int32_t>> PromptOf(const nlohmann::ordered_json& request,
                                              const text::ChatTemplate* chat_template,
                                              const text::Tokenizer& tokenizer) {
  if (!request.is_object()) return absl::InvalidArgumentError("expected an object");
  if (const auto messages = request.find("messages"); messages != request.end()) {
    const auto tools = request.find("tools");
    return PromptOfConversation(*messages,
                                tools != request.end() ? *tools : nlohmann::ordered_json(),
                                chat_template, tokenizer);
  }
  const auto prompt = request.find("prompt");
  if (prompt == request.end()) {
    return absl::InvalidArgumentError("expected \"messages\" or \"prompt\"");
  }
  if (!prompt->is_string()) {
    return absl::InvalidArgumentError(
        fmt::format("\"prompt\" is {}, expected a string", prompt->type_name()));
  }
  return PromptOfText(prompt->get<std::string>(), tokenizer);
}

}  // namespace tanren::trainer
