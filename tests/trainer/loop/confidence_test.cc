#include "trainer/loop/confidence.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/base/random.h"

namespace tanren::trainer {
namespace {

TEST(ShareInterval, IsThePublishedScoreInterval) {
  // Table I, method 3 of Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>
  struct Row {
    int64_t successes, trials;
    double low, high;
  };
  for (const Row& row : {Row{81, 263, 0.2553, 0.3662}, Row{15, 148, 0.0624, 0.1605},
                         Row{0, 20, 0, 0.1611}, Row{1, 29, 0.0061, 0.1718}}) {
    const Interval interval = ShareInterval(row.successes, row.trials);
    EXPECT_NEAR(interval.low, row.low, 5e-5) << row.successes << " of " << row.trials;
    EXPECT_NEAR(interval.high, row.high, 5e-5) << row.successes << " of " << row.trials;
  }
}

TEST(ShareInterval, StaysWithinZeroAndOneAndIsNeverAPoint) {
  // By hand: of n successes in n trials, low is n / (n + z²), z² = 3.8415.
  const Interval all = ShareInterval(10, 10), none = ShareInterval(0, 10);
  EXPECT_NEAR(all.low, 10 / 13.8415, 1e-5);
  EXPECT_NEAR(none.high, 3.8415 / 13.8415, 1e-5);
  EXPECT_LE(all.high, 1);
  EXPECT_NEAR(all.high, 1, 1e-12);
  EXPECT_GE(none.low, 0);
  EXPECT_NEAR(none.low, 0, 1e-12);
}

TEST(ShareInterval, NoTrialsAreAnError) { EXPECT_THROW(ShareInterval(0, 0), Error); }

// Documents of 1 to 20 targets. What a document's targets have in common moves its loss from 2 by a
// standard deviation of 0.5; the ratio of all documents there could be is 2.
struct Losses {
  Losses(int documents, uint64_t seed) {
    RandomStream random(seed, RandomPurpose::kSampling);
    for (int i = 0; i < documents; ++i) {
      weights.push_back(1 + static_cast<double>(random.NextBelow(20)));
      sums.push_back(weights.back() * (2 + 0.5 * random.NextNormal()));
    }
  }
  Interval RatioInterval(uint64_t seed) const {
    return trainer::RatioInterval(sums, weights, seed);
  }

  std::vector<double> sums, weights;
};

TEST(RatioInterval, CoversTheTruthAboutNineteenTimesInTwenty) {
  constexpr int kTrials = 200;
  int covered = 0;
  for (uint64_t trial = 0; trial < kTrials; ++trial) {
    const Interval interval = Losses(60, trial).RatioInterval(trial);
    EXPECT_LT(interval.low, interval.high);
    covered += interval.low <= 2 && 2 <= interval.high ? 1 : 0;
  }
  // A bootstrap of 60 falls a little short; three standard deviations of the count are 9.
  EXPECT_GE(covered, 178);
  EXPECT_LE(covered, 198);
}

TEST(RatioInterval, IsAFunctionOfTheDataAndTheSeed) {
  const Losses losses(60, 1);
  const Interval once = losses.RatioInterval(7), again = losses.RatioInterval(7);
  EXPECT_EQ(once.low, again.low);
  EXPECT_EQ(once.high, again.high);
  const Interval other = losses.RatioInterval(8);
  EXPECT_NE(once.low, other.low);
  EXPECT_NEAR(once.low, other.low, 0.1 * (once.high - once.low));
  EXPECT_NEAR(once.high, other.high, 0.1 * (once.high - once.low));
}

TEST(RatioInterval, ShrinksWithTheRootOfTheDocuments) {
  const auto width = [](int documents) {
    const Interval interval = Losses(documents, 3).RatioInterval(3);
    return interval.high - interval.low;
  };
  EXPECT_NEAR(width(40) / width(1000), std::sqrt(1000.0 / 40), 1.5);
}

TEST(RatioInterval, WeighsDocumentsByTheirTargets) {
  // A mean of ratios would reach far above 2: the short document has 100. Here three draws of it in
  // four, 1300 / 1003, are the 97.5th percentile.
  const std::vector<double> sums = {100, 1000, 1000, 1000}, weights = {1, 1000, 1000, 1000};
  const Interval interval = RatioInterval(sums, weights, 1);
  EXPECT_EQ(interval.low, 1);
  EXPECT_EQ(interval.high, 1300.0 / 1003);
}

TEST(RatioInterval, OneDocumentGivesAPointAndNoneAnError) {
  const std::vector<double> sum = {6}, weight = {4}, zero = {0};
  EXPECT_EQ(RatioInterval(sum, weight, 1).low, 1.5);
  EXPECT_EQ(RatioInterval(sum, weight, 1).high, 1.5);
  EXPECT_THROW(RatioInterval({}, {}, 1), Error);
  EXPECT_THROW(RatioInterval(sum, zero, 1), Error);
  EXPECT_THROW(RatioInterval(sum, {}, 1), Error);
}

}  // namespace
}  // namespace tanren::trainer
