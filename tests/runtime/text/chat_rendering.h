// Renders small conversations for the tests of chat templates.
#ifndef TANREN_TESTS_RUNTIME_TEXT_CHAT_RENDERING_H_
#define TANREN_TESTS_RUNTIME_TEXT_CHAT_RENDERING_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "runtime/text/chat_template.h"

namespace tanren::text {

inline nlohmann::ordered_json Message(std::string_view role, std::string_view content) {
  return {{"role", role}, {"content", content}};
}

inline absl::StatusOr<RenderedChat> Render(std::string_view source, const ChatInput& input) {
  absl::StatusOr<ChatTemplate> parsed = ChatTemplate::Parse(source);
  if (!parsed.ok()) return parsed.status();
  return parsed->Render(input);
}

// The text, or the error's.
inline std::string Rendered(std::string_view source, const ChatInput& input = {}) {
  const absl::StatusOr<RenderedChat> chat = Render(source, input);
  return chat.ok() ? chat->text : std::string(chat.status().message());
}

inline absl::StatusCode CodeOf(std::string_view source, const ChatInput& input = {}) {
  return Render(source, input).status().code();
}

}  // namespace tanren::text

#endif  // TANREN_TESTS_RUNTIME_TEXT_CHAT_RENDERING_H_
