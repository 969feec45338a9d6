#include "trainer/data/step_source.h"

#include <ATen/ATen.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/trainer/data/data_files.h"

namespace tanren::trainer {
namespace {

using testing::HasSubstr;

constexpr CorpusOptions kOptions{.sequence_length = 32, .bad_rows = DataRecipe::SKIP};

// What all ranks together see, step by step.
struct Seen {
  std::vector<std::vector<std::string>> documents;
  std::vector<double> target_weights;
  size_t empty_micro_batches = 0;
};

class StepSourceTest : public testing::Test {
 protected:
  std::unique_ptr<BatchSource> Open(Corpus* corpus, const StepShape& shape, double epochs = 2) {
    ThrowIfError(CheckShape(shape));
    return std::make_unique<PrefetchingSource>(std::make_unique<StepSource>(
        shape,
        ValueOrThrow(DocumentStream::Open(corpus, {.weights = {0}, .seed = 4, .epochs = epochs})),
        corpus));
  }

  // From `cursor` on, where one is given.
  Seen Run(StepShape shape, const std::string& cursor = "") {
    Seen seen;
    std::vector<std::unique_ptr<Corpus>> corpora;
    std::vector<std::unique_ptr<BatchSource>> ranks;
    for (shape.rank = 0; shape.rank < shape.world_size; ++shape.rank) {
      corpora.push_back(files_.Open(kOptions));
      ranks.push_back(Open(corpora.back().get(), shape));
      if (!cursor.empty()) ThrowIfError(ranks.back()->Restore(cursor));
    }
    while (true) {
      std::vector<std::string> documents;
      double found_weight = 0;
      std::optional<StepBatches> first;
      for (size_t rank = 0; rank < ranks.size(); ++rank) {
        auto step = ValueOrThrow(ranks[rank]->Next());
        if (rank == 0) first = step;
        EXPECT_EQ(step.has_value(), first.has_value());
        EXPECT_EQ(ranks[rank]->cursor(), ranks[0]->cursor());
        if (!step) continue;
        EXPECT_EQ(step->micro_batches.size(), first->micro_batches.size());
        EXPECT_EQ(step->target_weight, first->target_weight);
        for (const Batch& batch : step->micro_batches) {
          found_weight += TargetWeight(batch);
          EXPECT_LE(batch.token_count(), shape.micro_batch_rows * shape.sequence_length);
          if (TargetWeight(batch) == 0) {
            EXPECT_EQ(batch.token_count(), 1);
            ++seen.empty_micro_batches;
            continue;
          }
          for (std::string& text : TextsOf(batch, *files_.tokenizer)) documents.push_back(text);
        }
      }
      if (!first) break;
      EXPECT_EQ(found_weight, first->target_weight);
      EXPECT_EQ(static_cast<int64_t>(documents.size()), first->documents);
      std::sort(documents.begin(), documents.end());
      seen.documents.push_back(std::move(documents));
      seen.target_weights.push_back(first->target_weight);
    }
    return seen;
  }

  DataFiles files_{{TextRows("a", 70, 27) + "bad\n"}};
};

TEST_F(StepSourceTest, AStepHoldsTheSameDocumentsOnAnyNumberOfRanksInAnyMicroBatches) {
  for (const bool packing : {true, false}) {
    const StepShape shape{
        .batch_rows = 12, .micro_batch_rows = 12, .sequence_length = 32, .packing = packing};
    const Seen expected = Run(shape);
    ASSERT_GT(expected.documents.size(), 4u);
    size_t documents = 0;
    for (const auto& step : expected.documents) documents += step.size();
    EXPECT_EQ(documents, 140u);
    size_t empty = 0;
    for (const int world_size : {1, 2, 4}) {
      for (const int64_t micro_batch_rows : {1, 2, 5}) {
        StepShape other = shape;
        other.world_size = world_size;
        other.micro_batch_rows = micro_batch_rows;
        const Seen found = Run(other);
        EXPECT_EQ(found.documents, expected.documents) << world_size << " " << micro_batch_rows;
        EXPECT_EQ(found.target_weights, expected.target_weights);
        empty += found.empty_micro_batches;
      }
    }
    EXPECT_GT(empty, 0u) << "the last step leaves some rank with nothing";
  }
}

TEST_F(StepSourceTest, GoesOnFromACursorOnAnotherNumberOfRanks) {
  const StepShape one{.batch_rows = 4, .micro_batch_rows = 2, .sequence_length = 32};
  const Seen whole = Run(one);
  const auto corpus = files_.Open(kOptions);
  const auto source = Open(corpus.get(), one);
  for (size_t steps = 1; steps <= 5; ++steps) ASSERT_TRUE(source->Next()->has_value());
  StepShape two = one;
  two.world_size = 2;
  const Seen rest = Run(two, source->cursor());
  EXPECT_EQ(rest.documents, std::vector(whole.documents.begin() + 5, whole.documents.end()));
}

TEST_F(StepSourceTest, RestoringInTheMiddleForgetsWhatWasPrepared) {
  const StepShape shape{.batch_rows = 4, .sequence_length = 32};
  const auto corpus = files_.Open(kOptions);
  const auto source = Open(corpus.get(), shape);
  const std::string start = source->cursor();
  const auto first = *source->Next();
  ASSERT_TRUE(source->Next().ok());
  ASSERT_TRUE(source->Restore(start).ok());
  EXPECT_EQ(source->cursor(), start);
  const auto again = *source->Next();
  EXPECT_TRUE(at::equal(again->micro_batches[0].tokens_T, first->micro_batches[0].tokens_T));
}

TEST_F(StepSourceTest, StepsAreCountedBeforehand) {
  const StepShape shape{.batch_rows = 4, .sequence_length = 32};
  const auto corpus = files_.Open(kOptions);
  const StepTotals totals = ValueOrThrow(CountSteps(
      shape,
      ValueOrThrow(DocumentStream::Open(corpus.get(), {.weights = {0}, .seed = 4, .epochs = 2}))));
  const Seen seen = Run(shape);
  EXPECT_EQ(totals.steps, static_cast<int64_t>(seen.documents.size()));
  EXPECT_EQ(totals.documents, 140);
  EXPECT_EQ(totals.target_weight, totals.tokens - 140) << "all but the first tokens";
}

TEST_F(StepSourceTest, ABadRowEndsTheSourceWhereTheRecipeStops) {
  CorpusOptions stop = kOptions;
  stop.bad_rows = DataRecipe::STOP;
  const auto corpus = files_.Open(stop);
  const auto source = Open(corpus.get(), {.batch_rows = 4, .sequence_length = 32});
  absl::Status status;
  while (status.ok()) status = source->Next().status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("s0.jsonl:71: not valid JSON"));
}

TEST(StepShape, RowsThatRanksCannotShareAreAnErrorThatNamesOnesThatWork) {
  const absl::Status status = CheckShape({.world_size = 4, .batch_rows = 10});
  EXPECT_THAT(std::string(status.message()), HasSubstr("8 or 12 would do"));
  EXPECT_THAT(std::string(CheckShape({.world_size = 4, .batch_rows = 3}).message()),
              HasSubstr("; 4 would do"));
  EXPECT_TRUE(CheckShape({.world_size = 4, .batch_rows = 12}).ok());
}

}  // namespace
}  // namespace tanren::trainer
