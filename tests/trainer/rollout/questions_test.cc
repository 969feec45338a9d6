#include "trainer/rollout/questions.h"

#include <gtest/gtest.h>

namespace tanren::trainer {
namespace {

using Json = nlohmann::ordered_json;

TEST(QuestionText, IsThePromptOrTheLastMessageWhateverItsContentIs) {
  EXPECT_EQ(QuestionText({{"prompt", "Why?"}}), "Why?");
  const auto of_messages = [](const char* messages) {
    return QuestionText({{"messages", Json::parse(messages)}});
  };
  EXPECT_EQ(
      of_messages(R"([{"role": "system", "content": "x"}, {"role": "user", "content": "Q"}])"),
      "Q");
  EXPECT_EQ(of_messages(R"([{"role": "user", "content": [{"type": "text", "text": "Q"}]}])"),
            R"([{"type":"text","text":"Q"}])");
  EXPECT_EQ(of_messages(R"([{"role": "user"}])"), "");
  EXPECT_EQ(of_messages(R"(["Q"])"), "");
  EXPECT_EQ(of_messages("[]"), "");
}

}  // namespace
}  // namespace tanren::trainer
