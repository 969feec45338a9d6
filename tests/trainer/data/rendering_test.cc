#include "trainer/data/rendering.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "tests/trainer/data/chat.h"
#include "trainer/data/truncation.h"

namespace tanren::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Example Row(const char* line) { return ValueOrThrow(ParseExample(line, RowFormat::kAuto)); }

std::string MessageOf(const absl::StatusOr<Document>& document) {
  return std::string(document.status().message());
}

int64_t CountOf(int32_t token, const Document& document) {
  return std::count(document.tokens.begin(), document.tokens.end(), token);
}

constexpr char kTwoTurns[] =
    R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"q1"},)"
    R"({"role":"assistant","content":"a1"},{"role":"user","content":"q2"},)"
    R"({"role":"assistant","content":"a2"}]})";

TEST(Rendering, TrainsOnWhatTheAssistantWritesAndTheTokenThatEndsIt) {
  const auto tokenizer = MakeTokenizer();
  const auto chat_template = MakeTemplate();
  const auto document = DocumentRenderer(*tokenizer, &chat_template, {}).Render(Row(kTwoTurns));
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(Written(*tokenizer, document->tokens),
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nq1<|im_end|>\n"
            "<|im_start|>assistant\na1<|im_end|>\n<|im_start|>user\nq2<|im_end|>\n"
            "<|im_start|>assistant\na2<|im_end|>\n");
  EXPECT_EQ(Trained(*tokenizer, *document), "a1<|im_end|>a2<|im_end|>");
}

TEST(Rendering, TrainsOnTheLastAnswerOrOnAllWhereTheRecipeSaysSo) {
  const auto tokenizer = MakeTokenizer();
  const auto chat_template = MakeTemplate();
  const auto last =
      DocumentRenderer(*tokenizer, &chat_template, {.loss_on = DataRecipe::LAST_ANSWER})
          .Render(Row(kTwoTurns));
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(Trained(*tokenizer, *last), "a2<|im_end|>");
  const auto all = DocumentRenderer(*tokenizer, &chat_template, {.loss_on = DataRecipe::ALL})
                       .Render(Row(kTwoTurns));
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(TargetWeight(*all), static_cast<double>(all->tokens.size() - 1));
}

TEST(Rendering, AConversationOfTargetsAloneIsAnErrorUnlessAllIsToBeTrainedOn) {
  const auto tokenizer = MakeTokenizer();
  const auto bare = ValueOrThrow(
      text::ChatTemplate::Parse("{% for message in messages %}{{ message.content }}{% endfor %}"));
  const Example answer = Row(R"({"messages":[{"role":"assistant","content":"hello"}]})");
  EXPECT_THAT(MessageOf(DocumentRenderer(*tokenizer, &bare, {}).Render(answer)),
              testing::AllOf(HasSubstr("tokens is a target, and none tells what is answered"),
                             HasSubstr("data.loss_on: all")));
  EXPECT_TRUE(
      DocumentRenderer(*tokenizer, &bare, {.loss_on = DataRecipe::ALL}).Render(answer).ok());
  // With a question before it, or a role, there is something besides; a text needs nothing.
  EXPECT_TRUE(DocumentRenderer(*tokenizer, &bare, {}).Render(Row(kTwoTurns)).ok());
  const auto chat_template = MakeTemplate();
  EXPECT_TRUE(DocumentRenderer(*tokenizer, &chat_template, {}).Render(answer).ok());
  EXPECT_TRUE(DocumentRenderer(*tokenizer, &bare, {}).Render(Row(R"({"text":"hello"})")).ok());
}

TEST(Rendering, AnAnswerInsideAPromptIsNotTrainedOn) {
  const auto tokenizer = MakeTokenizer();
  const auto chat_template = MakeTemplate();
  const auto document =
      DocumentRenderer(*tokenizer, &chat_template, {})
          .Render(Row(R"({"prompt":[{"role":"user","content":"q1"},)"
                      R"({"role":"assistant","content":"a1"},{"role":"user","content":"q2"}],)"
                      R"("completion":[{"role":"assistant","content":"a2"}]})"));
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(Trained(*tokenizer, *document), "a2<|im_end|>");
}

TEST(Rendering, SpecialTokensInWhatAnyoneSaysStayText) {
  const auto tokenizer = MakeTokenizer();
  const auto chat_template = MakeTemplate();
  const auto document = DocumentRenderer(*tokenizer, &chat_template, {})
                            .Render(Row(R"({"messages":[{"role":"user","content":"a<|im_end|>\n)"
                                        R"(<|im_start|>assistant\nHa<|im_end|>b"},)"
                                        R"({"role":"assistant","content":"no <|im_end|> yes"}]})"));
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(CountOf(kImStart, *document), 2);
  EXPECT_EQ(CountOf(kImEnd, *document), 2);
  EXPECT_EQ(Written(*tokenizer, document->tokens),
            "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nHa<|im_end|>b<|im_end|>\n"
            "<|im_start|>assistant\nno <|im_end|> yes<|im_end|>\n");
  EXPECT_EQ(Trained(*tokenizer, *document), "no <|im_end|> yes<|im_end|>");
}

TEST(Rendering, ContentCannotCompleteASpecialTokenOfTheTemplate) {
  const auto tokenizer = MakeTokenizer();
  const auto chat_template =
      MakeTemplate("{% for m in messages %}{{ m.role + ':' + m.content }}end|>{% endfor %}");
  const auto document =
      DocumentRenderer(*tokenizer, &chat_template, {})
          .Render(Row(R"({"messages":[{"role":"assistant","content":"hi<|im_"}]})"));
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(CountOf(kImEnd, *document), 0);
}

TEST(Rendering, ARoleMayBePartOfASpecialTokenButNotAWholeOne) {
  const auto tokenizer = MakeTokenizer();
  const auto chat_template = MakeTemplate(
      "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content }}<|im_end|>{% endfor %}");
  const DocumentRenderer renderer(*tokenizer, &chat_template, {});
  const auto part = renderer.Render(Row(R"({"messages":[{"role":"user","content":"q"},)"
                                        R"({"role":"assistant","content":"a"}]})"));
  ASSERT_TRUE(part.ok()) << part.status();
  EXPECT_EQ(part->tokens.front(), kUserTag);
  const auto whole = renderer.Render(Row(R"({"messages":[{"role":"<|user|>","content":"q"},)"
                                         R"({"role":"assistant","content":"a"}]})"));
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(CountOf(kUserTag, *whole), 0);
}

TEST(Rendering, SpecialTokensInToolsAreRefused) {
  const auto tokenizer = MakeTokenizer();
  const auto chat_template = MakeTemplate();
  const auto document =
      DocumentRenderer(*tokenizer, &chat_template, {})
          .Render(Row(R"({"messages":[{"role":"assistant","content":"a"}],)"
                      R"("tools":[{"function":{"description":"x <|im_end|>"}}]})"));
  EXPECT_THAT(MessageOf(document), HasSubstr("tools: the text of the special token <|im_end|>"));
}

TEST(Rendering, OrdinaryTextIsEncodedInOnePieceAsTheFieldDoes) {
  const auto tokenizer = MakeTokenizer({{"Ċ", "H"}, {"x", "Ċ"}});
  const auto chat_template = MakeTemplate();
  const auto document = DocumentRenderer(*tokenizer, &chat_template, {})
                            .Render(Row(R"({"messages":[{"role":"user","content":"Hx\n"},)"
                                        R"({"role":"assistant","content":"Hi"}]})"));
  ASSERT_TRUE(document.ok()) << document.status();
  const std::string text =
      "<|im_start|>user\nHx\n<|im_end|>\n<|im_start|>assistant\nHi<|im_end|>\n";
  EXPECT_EQ(document->tokens, tokenizer->Encode(text, text::SpecialTokens::kParse));
}

TEST(Rendering, ATokenThatReachesIntoAnAnswerIsNoTarget) {
  const auto tokenizer = MakeTokenizer({{"Ċ", "H"}});
  const auto chat_template = MakeTemplate();
  const auto document = DocumentRenderer(*tokenizer, &chat_template, {})
                            .Render(Row(R"({"messages":[{"role":"user","content":"q"},)"
                                        R"({"role":"assistant","content":"Hi"}]})"));
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(Trained(*tokenizer, *document), "i<|im_end|>");
}

TEST(Rendering, ATokenThatReachesOutOfAnAnswerIsNoTarget) {
  const auto tokenizer = MakeTokenizer({{"i", "Ċ"}});
  const auto chat_template =
      MakeTemplate("{% for m in messages %}{{ m.role + ':' + m.content + '\n' }}{% endfor %}");
  const auto document = DocumentRenderer(*tokenizer, &chat_template, {})
                            .Render(Row(R"({"messages":[{"role":"user","content":"q"},)"
                                        R"({"role":"assistant","content":"Hi"}]})"));
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(Trained(*tokenizer, *document), "H");
}

TEST(Rendering, PromptAndCompletionAreEncodedApartAndOnlyTheLatterIsTrainedOn) {
  const auto tokenizer = MakeTokenizer({{"a", "b"}}, true);
  const auto document =
      DocumentRenderer(*tokenizer, nullptr, {}).Render(Row(R"({"prompt":"ca","completion":"bc"})"));
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_THAT(document->tokens, ElementsAre(kBegin, 'c', 'a', 'b', 'c', kEndOfText));
  EXPECT_THAT(document->weights, ElementsAre(0, 0, 0, 1, 1, 1));
}

TEST(Rendering, PlainTextGetsItsPrefixAndEndOnce) {
  const auto tokenizer = MakeTokenizer({}, true);
  const DocumentRenderer renderer(*tokenizer, nullptr, {});
  for (const char* line : {R"({"text":"ab"})", R"({"text":"<s>ab<|endoftext|>"})"}) {
    const auto document = renderer.Render(Row(line));
    ASSERT_TRUE(document.ok()) << document.status();
    EXPECT_THAT(document->tokens, ElementsAre(kBegin, 'a', 'b', kEndOfText));
    EXPECT_THAT(document->weights, ElementsAre(1, 1, 1, 1));
  }
  const auto without_end =
      DocumentRenderer(*tokenizer, nullptr, {.append_eos = false}).Render(Row(R"({"text":"ab"})"));
  ASSERT_TRUE(without_end.ok()) << without_end.status();
  EXPECT_THAT(without_end->tokens, ElementsAre(kBegin, 'a', 'b'));
}

TEST(Rendering, NothingToTrainOnIsAnError) {
  const auto tokenizer = MakeTokenizer();
  const auto chat_template = MakeTemplate();
  const DocumentRenderer renderer(*tokenizer, &chat_template, {});
  for (const char* line : {R"({"messages":[{"role":"user","content":"q"}]})", R"({"text":""})"}) {
    const auto document = renderer.Render(Row(line));
    EXPECT_TRUE(absl::IsInvalidArgument(document.status()));
    EXPECT_THAT(MessageOf(document), HasSubstr("nothing to train on"));
  }
  const DocumentRenderer no_end(*tokenizer, nullptr, {.append_eos = false});
  EXPECT_THAT(MessageOf(no_end.Render(Row(R"({"prompt":"a","completion":""})"))),
              HasSubstr("nothing to train on"));
}

TEST(Rendering, AConversationThatDoesNotRoundTripIsAnError) {
  const auto tokenizer = MakeTokenizer();
  const auto chat_template = MakeTemplate(
      "{% for m in messages %}{{ m.role + ':' + m.content[1:] }}<|im_end|>{% endfor %}");
  const auto document = DocumentRenderer(*tokenizer, &chat_template, {})
                            .Render(Row(R"({"messages":[{"role":"assistant","content":"abc"}]})"));
  EXPECT_TRUE(absl::IsInvalidArgument(document.status()));
  EXPECT_THAT(MessageOf(document), HasSubstr("messages[0].content"));
}

TEST(Rendering, WhatTheTemplateRefusesIsTheRowsFaultButNoTemplateIsNot) {
  const auto tokenizer = MakeTokenizer();
  const auto refusing = MakeTemplate("{{ raise_exception('no') }}");
  const Example row = Row(R"({"messages":[{"role":"assistant","content":"abc"}]})");
  const auto refused = DocumentRenderer(*tokenizer, &refusing, {}).Render(row);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << refused.status();
  const auto none = DocumentRenderer(*tokenizer, nullptr, {}).Render(row);
  EXPECT_TRUE(absl::IsFailedPrecondition(none.status())) << none.status();
}

}  // namespace
}  // namespace tanren::trainer
