#include "runtime/text/chat_template.h"

#include <utility>

#include "runtime/base/error.h"
#include "runtime/text/chat_template_input.h"
#include "runtime/text/jinja_error.h"
#include "runtime/text/jinja_interpreter.h"
#include "runtime/text/jinja_parser.h"
#include "runtime/text/unicode.h"

namespace tanren::text {

struct ChatTemplate::Impl {
  jinja::ParsedTemplate parsed;
};

ChatTemplate::ChatTemplate(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

absl::StatusOr<ChatTemplate> ChatTemplate::Parse(std::string_view source) {
  const size_t valid = ValidPrefix(source);
  if (valid != source.size()) {
    return absl::InvalidArgumentError(fmt::format("chat template: byte {} is not UTF-8", valid));
  }
  try {
    return ChatTemplate(std::make_unique<const Impl>(Impl{jinja::ParseTemplate(source)}));
  } catch (...) {
    return Annotate(StatusOfCurrentException(), "chat template");
  }
}

namespace {

void SetVariables(const ChatInput& input, jinja::Value messages, bool add_generation_prompt,
                  jinja::Interpreter* interpreter) {
  using jinja::Value;
  for (const auto& [name, token] : input.special_tokens) {
    interpreter->SetVariable(name, Value::MakeText(token));
  }
  if (input.bos_token) interpreter->SetVariable("bos_token", Value::MakeText(*input.bos_token));
  if (input.eos_token) interpreter->SetVariable("eos_token", Value::MakeText(*input.eos_token));
  if (!input.variables.is_object()) {
    jinja::Fail("variables: expected an object, found {}", input.variables.type_name());
  }
  for (const auto& [name, value] : input.variables.items()) {
    interpreter->SetVariable(name, ValueFromJson(value, "variables." + name));
  }
  interpreter->SetVariable("messages", std::move(messages));
  interpreter->SetVariable("tools", ValueFromJson(input.tools, "tools"));
  interpreter->SetVariable("documents", ValueFromJson(input.documents, "documents"));
  interpreter->SetVariable("add_generation_prompt", Value::MakeBool(add_generation_prompt));
}

TrackedText RenderMessages(const jinja::Body& body, const ChatInput& input,
                           const std::vector<Origin>& origins, const jinja::Value& messages,
                           bool add_generation_prompt) {
  jinja::Interpreter interpreter(input.limits, &origins, input.now);
  SetVariables(input, messages, add_generation_prompt, &interpreter);
  try {
    return interpreter.Run(body);
  } catch (...) {
    throw Error(Annotate(StatusOfCurrentException(), fmt::format("line {}", interpreter.line())));
  }
}

// See RenderedChat::generation_prompt. A template may refuse the shorter conversation: then there
// is no answer, and that is no error.
std::string FindGenerationPrompt(const jinja::Body& body, const ChatInput& input,
                                 const std::vector<Origin>& origins, const jinja::Value& messages,
                                 const std::vector<std::string>& roles) {
  std::vector<jinja::Value> before;
  for (const jinja::Value& message : messages.sequence()->items) {
    if (roles[before.size()] == "assistant") break;
    before.push_back(message);
  }
  if (before.empty()) before = messages.sequence()->items;
  const jinja::Value shorter = jinja::MakeSequence(std::move(before));
  try {
    const TrackedText with = RenderMessages(body, input, origins, shorter, true);
    const TrackedText without = RenderMessages(body, input, origins, shorter, false);
    std::string_view shared = without.bytes();
    const auto continues = [&] { return with.bytes().substr(0, shared.size()) == shared; };
    // Some write the end of the text where nothing is to follow.
    const std::string eos = input.eos_token.value_or("");
    if (!continues() && shared.size() >= eos.size() &&
        shared.substr(shared.size() - eos.size()) == eos) {
      shared.remove_suffix(eos.size());
    }
    return continues() ? std::string(with.bytes().substr(shared.size())) : std::string();
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

absl::StatusOr<RenderedChat> ChatTemplate::Render(const ChatInput& input) const {
  const jinja::Body& body = impl_->parsed.body;
  try {
    RenderedChat chat;
    const jinja::Value messages = MessagesFromJson(input.messages, &chat.origins);
    for (const auto& message : input.messages) {
      const auto role = message.find("role");
      chat.roles.push_back(role != message.end() && role->is_string() ? role->get<std::string>()
                                                                      : std::string());
    }
    TrackedText text =
        RenderMessages(body, input, chat.origins, messages, input.add_generation_prompt);
    text.FillGaps();
    chat.text = text.bytes();
    chat.spans = text.spans();
    chat.has_generation_blocks = impl_->parsed.has_generation_blocks;
    chat.generation_prompt = FindGenerationPrompt(body, input, chat.origins, messages, chat.roles);
    return chat;
  } catch (...) {
    return Annotate(StatusOfCurrentException(), "chat template");
  }
}

}  // namespace tanren::text
