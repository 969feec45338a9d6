#include "trainer/data/document_stream.h"

#include <cmath>
#include <map>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/trainer/data/data_files.h"

namespace tanren::trainer {
namespace {

using testing::HasSubstr;

constexpr CorpusOptions kSkip{.sequence_length = 64, .bad_rows = DataRecipe::SKIP};

DocumentStream OpenStream(Corpus* corpus, const StreamOptions& options) {
  return ValueOrThrow(DocumentStream::Open(corpus, options));
}

// The rows of the next documents, until the end or `limit`.
std::vector<uint64_t> Rows(DocumentStream* stream, size_t limit = SIZE_MAX) {
  std::vector<uint64_t> rows;
  while (rows.size() < limit) {
    const auto next = ValueOrThrow(stream->Next());
    if (!next) break;
    rows.push_back(next->row);
  }
  return rows;
}

TEST(DocumentStream, AnEpochHoldsEveryGoodRowOnceAndNoHeldOutOne) {
  const DataFiles files({TextRows("a", 50, 9) + "bad\n", TextRows("b", 30, 9)});
  CorpusOptions options = kSkip;
  options.validation_fraction = 0.3;
  const auto corpus = files.Open(options);
  auto stream = OpenStream(corpus.get(), {.weights = {0, 0}, .epochs = 2});
  std::map<uint64_t, int> times;
  for (const uint64_t row : Rows(&stream)) ++times[row];
  int held_out = 0;
  for (uint64_t row = 0; row < corpus->row_count(); ++row) {
    held_out += corpus->HeldOut(row);
    EXPECT_EQ(times[row], corpus->HeldOut(row) || row == 50 ? 0 : 2) << row;
  }
  EXPECT_GT(held_out, 0);
  EXPECT_DOUBLE_EQ(stream.epochs_passed(), 2);
}

TEST(DocumentStream, APartOfAnEpochIsAPartOfItsRows) {
  const DataFiles files({TextRows("a", 50, 9)});
  const auto corpus = files.Open(kSkip);
  auto stream = OpenStream(corpus.get(), {.weights = {0}, .epochs = 1.5});
  const std::vector<uint64_t> rows = Rows(&stream);
  EXPECT_EQ(rows.size(), 75u);
  EXPECT_EQ(std::set<uint64_t>(rows.begin(), rows.begin() + 50).size(), 50u);
}

TEST(DocumentStream, WeightsAreSharesOfDocumentsHoweverManyRowsAreBad) {
  std::string half_bad;
  for (int i = 0; i < 40; ++i) half_bad += i % 2 ? "bad\n" : TextRows("b", 1, 0);
  const DataFiles files({TextRows("a", 10, 0), half_bad, TextRows("c", 5, 0)});
  const auto corpus = files.Open(kSkip);
  auto stream = OpenStream(corpus.get(), {.weights = {1, 3, 0}, .seed = 2});
  constexpr int kDocuments = 20000;
  std::map<uint64_t, int> times;
  for (const uint64_t row : Rows(&stream, kDocuments)) ++times[row];
  int of_a = 0, most = 0, fewest = kDocuments;
  for (const auto& [row, count] : times) {
    EXPECT_LT(row, 50u) << "a source of weight 0";
    if (row < 10) of_a += count;
    most = row < 10 ? std::max(most, count) : most;
    fewest = row < 10 ? std::min(fewest, count) : fewest;
  }
  EXPECT_NEAR(of_a, kDocuments / 4, 4 * std::sqrt(kDocuments * 0.25 * 0.75));
  EXPECT_LE(most - fewest, 1) << "a source is gone through whole before it is begun again";
}

TEST(DocumentStream, GoesOnFromACursorAsIfItHadNotStopped) {
  const DataFiles files({TextRows("a", 50, 9) + "bad\n", TextRows("b", 30, 9)});
  for (const std::vector<double>& weights : {std::vector<double>{0, 0}, {1, 2}}) {
    const auto corpus = files.Open(kSkip);
    auto stream = OpenStream(corpus.get(), {.weights = weights, .seed = 3});
    Rows(&stream, 117);
    const std::string cursor = stream.cursor();
    const std::vector<uint64_t> expected = Rows(&stream, 200);
    const auto other_corpus = files.Open(kSkip);
    auto resumed = OpenStream(other_corpus.get(), {.weights = weights, .seed = 3});
    ASSERT_TRUE(resumed.Restore(cursor).ok());
    EXPECT_EQ(Rows(&resumed, 200), expected);
  }
}

TEST(DocumentStream, RefusesACursorOfOtherDataAndStaysWhereItIs) {
  const DataFiles files({TextRows("a", 50, 9)}), other({TextRows("a", 51, 9)});
  const auto corpus = files.Open(kSkip);
  const auto other_corpus = other.Open(kSkip);
  auto stream = OpenStream(corpus.get(), {.weights = {0}});
  Rows(&stream, 3);
  const StreamPosition before = stream.position();
  const absl::Status changed =
      stream.Restore(OpenStream(other_corpus.get(), {.weights = {0}}).cursor());
  EXPECT_TRUE(absl::IsFailedPrecondition(changed));
  EXPECT_THAT(std::string(changed.message()), HasSubstr("rows was [51], is [50]"));
  const absl::Status seed =
      stream.Restore(OpenStream(corpus.get(), {.weights = {0}, .seed = 1}).cursor());
  EXPECT_THAT(std::string(seed.message()), HasSubstr("seed was 1, is 0"));
  for (const char* text : {"", "{", "[]", "{\"data\":3}"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(stream.Restore(text))) << text;
  }
  EXPECT_EQ(stream.position(), before);
}

TEST(DocumentStream, ASourceWithoutAnyDocumentIsAnErrorNotALoop) {
  const DataFiles files({"bad\nbad\n"});
  const auto corpus = files.Open(kSkip);
  auto stream = OpenStream(corpus.get(), {.weights = {0}});
  const auto next = stream.Next();
  EXPECT_THAT(std::string(next.status().message()), HasSubstr("none of the 2 rows from"));
}

}  // namespace
}  // namespace tanren::trainer
