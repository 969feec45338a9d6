#include "trainer/data/example.h"

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tanren::trainer {
namespace {

using testing::HasSubstr;

Conversation ConversationOf(std::string_view line) {
  const auto example = ParseExample(line, RowFormat::kAuto);
  EXPECT_TRUE(example.ok()) << example.status();
  return std::get<Conversation>(*example);
}

TEST(Example, EachFormatIsFoundByItsKeys) {
  EXPECT_EQ(
      ConversationOf(R"({"messages":[{"role":"user","content":"a"}],"id":3})").messages.size(), 1u);
  const auto pair = ParseExample(R"({"prompt":"2+2=","completion":"4"})", RowFormat::kAuto);
  ASSERT_TRUE(pair.ok()) << pair.status();
  EXPECT_EQ(std::get<PromptCompletion>(*pair).completion, "4");
  const auto text = ParseExample(R"({"text":"鍛錬"})", RowFormat::kAuto);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(std::get<PlainText>(*text).text, "鍛錬");
}

TEST(Example, AnInstructionBecomesOneQuestionAndOneAnswer) {
  const auto with_input =
      ConversationOf(R"({"instruction":"Sort.","input":"3 1 2","output":"1 2 3"})").messages;
  EXPECT_EQ(with_input[0]["content"], "Sort.\n\n3 1 2");
  EXPECT_EQ(with_input[1]["role"], "assistant");
  EXPECT_EQ(with_input[1]["content"], "1 2 3");
  for (const char* line : {R"({"instruction":"Sort.","input":"","output":"x"})",
                           R"({"instruction":"Sort.","output":"x"})"}) {
    EXPECT_EQ(ConversationOf(line).messages[0]["content"], "Sort.");
  }
}

TEST(Example, PromptAndCompletionAsMessagesAreJoined) {
  const auto messages = ConversationOf(R"({"prompt":[{"role":"user","content":"q"}],)"
                                       R"("completion":[{"role":"assistant","content":"a"}]})")
                            .messages;
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[1]["content"], "a");
}

struct BadRow {
  const char* line;
  RowFormat format;
  const char* expected;
};

class BadRows : public testing::TestWithParam<BadRow> {};

TEST_P(BadRows, AreErrorsThatSayWhatWasFound) {
  const auto example = ParseExample(GetParam().line, GetParam().format);
  ASSERT_FALSE(example.ok());
  EXPECT_THAT(std::string(example.status().message()), HasSubstr(GetParam().expected));
}

const std::string& DeepRow() {
  static const std::string row =
      R"({"text":)" + std::string(100000, '[') + std::string(100000, ']') + "}";
  return row;
}

const std::string& WideRow() {
  static const std::string row = [] {
    std::string keys = R"("text":"a")";
    for (int i = 0; i < 10000; ++i) keys += fmt::format(R"(,"{}":0)", i);
    return "{" + keys + "}";
  }();
  return row;
}

INSTANTIATE_TEST_SUITE_P(
    Example, BadRows,
    testing::Values(
        BadRow{"{\"text\":", RowFormat::kAuto, "not valid JSON: column 9: syntax error"},
        BadRow{"[1]", RowFormat::kAuto, "a row is array, expected an object"},
        BadRow{R"({"txet":"a"})", RowFormat::kAuto, "the row's keys are txet; expected messages"},
        BadRow{R"({"text":3})", RowFormat::kAuto, "\"text\" is number, expected a string"},
        BadRow{R"({"text":"a"})", RowFormat::kMessages, "no key \"messages\""},
        BadRow{R"({"messages":[]})", RowFormat::kAuto, "\"messages\" is empty"},
        BadRow{R"({"messages":["hi"]})", RowFormat::kAuto, "messages[0] is string"},
        BadRow{R"({"messages":[{"content":"a"}]})", RowFormat::kAuto, "messages[0] has no string"},
        BadRow{R"({"messages":[{"role":"user"}],"tools":"x"})", RowFormat::kAuto,
               "\"tools\" is string"},
        BadRow{R"({"prompt":[{"role":"user"}],"completion":"x"})", RowFormat::kAuto,
               "\"completion\" is string, expected an array"},
        BadRow{DeepRow().c_str(), RowFormat::kAuto, "nested deeper than 64"},
        BadRow{WideRow().c_str(), RowFormat::kAuto, "an object of more than 10000 keys"}));

}  // namespace
}  // namespace tanren::trainer
