// Tokens and targets of ChatML conversations against transformers: tests/golden/chat_tokens.py.
#include <algorithm>
#include <fstream>

#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "tests/trainer/data/chat.h"
#include "trainer/data/rendering.h"

namespace tanren::trainer {
namespace {

class ChatTokensGolden : public testing::TestWithParam<const char*> {};

TEST_P(ChatTokensGolden, IdsAndMasksAreThoseOfTransformers) {
  const std::string kind = GetParam();
  const std::string path = "tests/golden/tokenizer/" + kind + ".tokenizer.json";
  const auto tokenizer =
      ValueOrThrow(text::Tokenizer::FromJson(ValueOrThrow(ReadFile(path)), path));
  ThrowIfError(tokenizer->set_special_ids({.eos = tokenizer->TokenToId("<|im_end|>")}));
  const auto chat_template = MakeTemplate();
  const DocumentRenderer renderer(*tokenizer, &chat_template, {});
  std::ifstream samples("tests/golden/chat_tokens/" + kind + ".jsonl");
  int count = 0;
  for (std::string line; std::getline(samples, line); ++count) {
    const auto sample = nlohmann::ordered_json::parse(line);
    const auto document = renderer.Render(Conversation{.messages = sample["messages"]});
    ASSERT_TRUE(document.ok()) << document.status() << "\n" << line;
    EXPECT_EQ(document->tokens, sample["ids"].get<std::vector<int32_t>>()) << line;
    EXPECT_EQ(document->weights, sample["mask"].get<std::vector<float>>()) << line;
  }
  EXPECT_EQ(count, 60);
}

INSTANTIATE_TEST_SUITE_P(Kinds, ChatTokensGolden, testing::Values("smollm", "qwen"));

}  // namespace
}  // namespace tanren::trainer
