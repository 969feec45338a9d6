#include "trainer/data/corpus.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/trainer/data/chat.h"
#include "tests/trainer/data/files.h"

namespace tanren::trainer {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

class CorpusTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Corpus>> Open(std::vector<std::string> files,
                                               const CorpusOptions& options) {
    google::protobuf::RepeatedPtrField<SourceRecipe> sources;
    for (size_t i = 0; i < files.size(); ++i) {
      const std::string name = "s" + std::to_string(i) + ".jsonl";
      sources.Add()->set_path(folder_.Write(name, files[i]));
    }
    return Corpus::Open(sources, DocumentRenderer(*tokenizer_, nullptr, {}), options);
  }

  Folder folder_;
  std::unique_ptr<text::Tokenizer> tokenizer_ = MakeTokenizer();
};

constexpr char kSixRows[] =
    "{\"text\":\"abc\"}\n{\"txt\":1}\n{\"text\":\"\"}\n"
    "{\"text\":\"a longer one\"}\n{\"prompt\":\"0123456789\",\"completion\":\"x\"}\nnonsense\n";

TEST_F(CorpusTest, BadRowsAreCountedOnceAndShownWithTheirPlaceAndReason) {
  const auto corpus =
      Open({kSixRows, "{\"text\":\"b\"}\n"}, {.sequence_length = 8, .bad_rows = DataRecipe::SKIP});
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  for (int pass = 0; pass < 2; ++pass) {
    for (uint64_t row = 0; row < (*corpus)->row_count(); ++row) {
      ASSERT_TRUE((*corpus)->Summary(row).ok());
      ASSERT_TRUE((*corpus)->Read(row).ok());
    }
  }
  const RowCounts counts = (*corpus)->counts();
  EXPECT_EQ(counts.documents, 3);
  EXPECT_EQ(counts.tokens, 4 + 8 + 2);
  EXPECT_EQ(counts.target_weight, 3 + 7 + 1);
  EXPECT_EQ(counts.truncated, 1);
  EXPECT_EQ(counts.dropped_no_target, 1);
  EXPECT_EQ(counts.dropped_too_long, 0);
  EXPECT_EQ(counts.bad_rows, 3);
  EXPECT_THAT(counts.first_bad_rows,
              ElementsAre(HasSubstr("s0.jsonl:2: the row's keys are txt; expected messages"),
                          HasSubstr("s0.jsonl:3: nothing to train on"),
                          HasSubstr("s0.jsonl:6: not valid JSON")));
}

TEST_F(CorpusTest, SeveralThreadsCountWhatOneDoes) {
  std::string rows;
  for (int i = 0; i < 9000; ++i) {
    rows += i % 10 == 7 ? "{\n" : "{\"text\":\"" + std::string(1 + i % 13, 'a') + "\"}\n";
  }
  std::vector<RowCounts> counts;
  for (const int threads : {1, 3}) {
    const auto corpus = Open({rows}, {.sequence_length = 10, .bad_rows = DataRecipe::SKIP});
    ASSERT_TRUE(corpus.ok()) << corpus.status();
    ASSERT_TRUE((*corpus)->SummarizeAll(threads).ok());
    counts.push_back((*corpus)->counts());
  }
  EXPECT_EQ(counts[0].bad_rows, 900);
  EXPECT_EQ(counts[1].bad_rows, 900);
  EXPECT_EQ(counts[0].tokens, counts[1].tokens);
  EXPECT_EQ(counts[0].first_bad_rows, counts[1].first_bad_rows);
  EXPECT_EQ(counts[0].first_bad_rows.size(), Corpus::kBadRowsShown);
}

TEST_F(CorpusTest, TheFirstBadRowIsTheErrorWhereTheRecipeStops) {
  const auto corpus = Open({kSixRows}, {.sequence_length = 8});
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  const absl::Status status = (*corpus)->SummarizeAll(2);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("s0.jsonl:2: the row's keys are txt"));
}

TEST_F(CorpusTest, ATooLongDocumentIsDroppedOrAnErrorEvenWhereBadRowsAreSkipped) {
  const auto drop =
      Open({kSixRows},
           {.sequence_length = 8, .truncation = DataRecipe::DROP, .bad_rows = DataRecipe::SKIP});
  ASSERT_TRUE(drop.ok()) << drop.status();
  ASSERT_TRUE((*drop)->SummarizeAll(1).ok());
  EXPECT_EQ((*drop)->counts().dropped_too_long, 2);
  const auto fail =
      Open({kSixRows},
           {.sequence_length = 8, .truncation = DataRecipe::FAIL, .bad_rows = DataRecipe::SKIP});
  ASSERT_TRUE(fail.ok()) << fail.status();
  EXPECT_THAT(std::string((*fail)->SummarizeAll(1).message()), HasSubstr("s0.jsonl:4: 13 tokens"));
}

TEST_F(CorpusTest, RowsAreHeldOutByTheSeedAndTheirPlaceInTheShareAskedFor) {
  std::string rows;
  for (int i = 0; i < 10000; ++i) rows += "1\n";
  const auto corpus = Open({rows, rows}, {.seed = 5, .validation_fraction = 0.2});
  const auto other = Open({rows, rows}, {.seed = 6, .validation_fraction = 0.2});
  ASSERT_TRUE(corpus.ok() && other.ok());
  int held_out = 0, same_in_both_sources = 0, same_with_other_seed = 0;
  for (uint64_t row = 0; row < 10000; ++row) {
    held_out += (*corpus)->HeldOut(row);
    same_in_both_sources += (*corpus)->HeldOut(row) == (*corpus)->HeldOut(row + 10000);
    same_with_other_seed += (*corpus)->HeldOut(row) == (*other)->HeldOut(row);
  }
  // Four standard deviations of a binomial: 160.
  EXPECT_NEAR(held_out, 2000, 160);
  EXPECT_LT(same_in_both_sources, 7500);
  EXPECT_LT(same_with_other_seed, 7500);
  EXPECT_THAT((*corpus)->Where(10002), EndsWith("s1.jsonl:3"));
}

}  // namespace
}  // namespace tanren::trainer
