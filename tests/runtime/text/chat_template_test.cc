#include "runtime/text/chat_template.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/runtime/text/chat_rendering.h"

namespace tanren::text {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;

constexpr std::string_view kChatMl =
    "{%- for message in messages -%}\n"
    "<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n"
    "{% endfor %}\n"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

ChatInput TwoTurns() {
  ChatInput input;
  input.messages = {Message("user", "Ahoj?"), Message("assistant", "Ahoj!")};
  return input;
}

TEST(ChatTemplate, SpansCoverTheTextAndLeadBackToTheMessages) {
  const ChatInput input = TwoTurns();
  const auto chat = Render(kChatMl, input);
  ASSERT_TRUE(chat.ok()) << chat.status().message();
  EXPECT_EQ(chat->text,
            "<|im_start|>user\nAhoj?<|im_end|>\n<|im_start|>assistant\nAhoj!<|im_end|>\n");
  size_t at = 0;
  std::string contents;
  for (const Span& span : chat->spans) {
    EXPECT_EQ(span.begin, at);
    at = span.end;
    if (!span.copied) continue;
    const Origin& origin = chat->origins.at(static_cast<size_t>(span.origin));
    const size_t length = span.end - span.begin;
    EXPECT_EQ(chat->text.substr(span.begin, length),
              origin.source.substr(span.source_begin, length));
    if (origin.field == "content") contents += fmt::format("{}:{} ", origin.message, origin.source);
  }
  EXPECT_EQ(at, chat->text.size());
  EXPECT_EQ(contents, "0:Ahoj? 1:Ahoj! ");
}

TEST(ChatTemplate, GenerationPromptIsWhatAddGenerationPromptAdds) {
  EXPECT_EQ(Render(kChatMl, TwoTurns())->generation_prompt, "<|im_start|>assistant\n");
  EXPECT_EQ(Render("{{ messages[0].content }}", TwoTurns())->generation_prompt, "");
}

}  // namespace
}  // namespace tanren::text
