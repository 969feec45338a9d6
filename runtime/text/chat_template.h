// Chat templates: the Jinja that models ship to turn a conversation into text. Renders what
// transformers' apply_chat_template renders, and remembers which bytes came from which message.
//
// The language is Jinja's with transformers' settings (trim_blocks, lstrip_blocks, loop controls,
// {% generation %}, tojson without HTML escapes, raise_exception, strftime_now, an immutable
// sandbox). Not supported, each an error that names it and its line: recursive for, import,
// include, extends, block, autoescape, *args and **kwargs, varargs, filters and tests outside of
// jinja_filters*.cc and jinja_tests.cc, integers of more than 64 bits, lists that hold functions.
#ifndef TANREN_RUNTIME_TEXT_CHAT_TEMPLATE_H_
#define TANREN_RUNTIME_TEXT_CHAT_TEMPLATE_H_

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "runtime/text/jinja_budget.h"
#include "runtime/text/tracked_text.h"

namespace tanren::text {

// What a template is rendered with. Strings must be UTF-8, integers fit 64 bits.
struct ChatInput {
  // An array of objects, usually with "role" and "content". As in transformers, reasoning is passed
  // under the names "reasoning_content" and "thinking", whichever of these or "reasoning" it has.
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  nlohmann::ordered_json tools;      // an array, or null
  nlohmann::ordered_json documents;  // an array, or null
  bool add_generation_prompt = false;
  std::optional<std::string> bos_token;
  std::optional<std::string> eos_token;
  std::map<std::string, std::string> special_tokens;  // others by name: "pad_token", ...
  // Further variables (chat_template_kwargs): an object, such as {"enable_thinking": false}.
  nlohmann::ordered_json variables = nlohmann::ordered_json::object();
  // What strftime_now tells; a template that asks without one given is an error.
  std::optional<std::chrono::local_seconds> now;
  RenderLimits limits;
};

struct RenderedChat {
  std::string text;
  // Sorted, disjoint, covering the whole text.
  std::vector<Span> spans;
  // The values inside the messages that spans refer to.
  std::vector<Origin> origins;
  std::vector<std::string> roles;  // of each message; empty where it has none
  // What the template puts where an assistant's answer begins ("<|im_start|>assistant\n"); empty if
  // it puts nothing or that couldn't be found out. Taken from the messages before the first
  // assistant's, rendered with and without add_generation_prompt; eos_token may stand in its place.
  std::string generation_prompt;
  // The template says itself what is generated; Span::generated holds it.
  bool has_generation_blocks = false;
};

class ChatTemplate {
 public:
  // kInvalidArgument for what isn't Jinja, kUnimplemented for what is but isn't supported here,
  // both with the line.
  static absl::StatusOr<ChatTemplate> Parse(std::string_view source);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // kInvalidArgument for wrong input and for what the template refuses, kUnimplemented,
  // kResourceExhausted when a limit is reached; with the template's line. May be called by several
  // threads at once.
  absl::StatusOr<RenderedChat> Render(const ChatInput& input) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_CHAT_TEMPLATE_H_
