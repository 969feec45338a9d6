#include "trainer/data/show_documents.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/trainer/data/data_files.h"

namespace tanren::trainer {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Show(const DataFiles& files, const ShowOptions& options) {
  Recipe recipe;
  *recipe.mutable_data()->mutable_sources() = files.sources;
  recipe.mutable_data()->set_sequence_length(64);
  recipe.mutable_data()->set_shuffle(false);
  recipe.mutable_data()->set_bad_rows(DataRecipe::SKIP);
  recipe.mutable_training()->set_batch_rows(2);
  const text::ChatTemplate chat_template = MakeTemplate();
  return ValueOrThrow(ShowDocuments(recipe, *files.tokenizer, &chat_template, options));
}

TEST(ShowDocuments, MarksWhatIsTrainedOnAndSaysWhereItIs) {
  const DataFiles files(
      {"{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},"
       "{\"role\":\"assistant\",\"content\":\"a\"}]}\nbad\n"
       "{\"prompt\":\"1\\n\",\"completion\":\"2\"}\n"});
  const std::string text = Show(files, {});
  EXPECT_THAT(text, HasSubstr("s0.jsonl:1  23 tokens, 2 targets; step 1, row 0, offset 0\n"
                              "<|im_start|>user\nq<|im_end|>\n"
                              "<|im_start|>assistant\n⟦a<|im_end|>⟧\n"));
  EXPECT_THAT(text, HasSubstr("s0.jsonl:3  4 tokens, 2 targets; step 1, row 0, offset 23\n"
                              "1\n⟦2<|endoftext|>⟧\n"));
  EXPECT_THAT(text, HasSubstr("documents   2\ntokens      27, of which 14.8 % are trained on\n"));
  EXPECT_THAT(text, HasSubstr("bad rows    1\n"));
  EXPECT_THAT(text, HasSubstr("one epoch   1 steps of 2 rows of 64 tokens, 21.1 % full\n"));
  EXPECT_THAT(text, HasSubstr("s0.jsonl:2: not valid JSON"));
}

TEST(ShowDocuments, ColoursTargetsOnATerminalAndLetsNoDataCommandIt) {
  const DataFiles files({"{\"prompt\":\"p\",\"completion\":\"\\u001b[2Jx\\u009b\\r\"}\n"});
  const std::string text = Show(files, {.color = true});
  EXPECT_THAT(text, HasSubstr("p\x1b[32m\\x1b[2Jx\\x9b\\x0d<|endoftext|>\x1b[0m"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b[2J")));
}

TEST(ShowDocuments, ShowsAsManyAsAskedFor) {
  const DataFiles files({TextRows("a", 30, 9)});
  const std::string text = Show(files, {.documents = 3});
  EXPECT_THAT(text, HasSubstr("s0.jsonl:3 "));
  EXPECT_THAT(text, Not(HasSubstr("s0.jsonl:4 ")));
  EXPECT_THAT(text, HasSubstr("documents   30\n"));
}

}  // namespace
}  // namespace tanren::trainer
