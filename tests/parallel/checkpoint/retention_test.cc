#include "parallel/checkpoint/retention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace tanren::parallel {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

const std::vector<RetainedStep> kSteps = {{30, 2.0}, {10, 1.0}, {50, 3.0}, {20, 4.0}, {40, {}}};

TEST(Retention, WithoutALimitEverythingStays) {
  EXPECT_THAT(StepsToDelete(kSteps, 50, {}), IsEmpty());
  EXPECT_THAT(StepsToDelete(kSteps, 50, {.keep_best = 1}), IsEmpty());
}

TEST(Retention, KeepsTheLast) {
  EXPECT_THAT(StepsToDelete(kSteps, 50, {.keep_last = 1}), ElementsAre(10, 20, 30, 40));
  EXPECT_THAT(StepsToDelete(kSteps, 50, {.keep_last = 2}), ElementsAre(10, 20, 30));
  EXPECT_THAT(StepsToDelete(kSteps, 50, {.keep_last = 5}), IsEmpty());
  EXPECT_THAT(StepsToDelete({}, 50, {.keep_last = 1}), IsEmpty());
}

TEST(Retention, KeepsTheBestBesidesTheLast) {
  EXPECT_THAT(StepsToDelete(kSteps, 50, {.keep_last = 1, .keep_best = 1}), ElementsAre(20, 30, 40));
  EXPECT_THAT(StepsToDelete(kSteps, 50, {.keep_last = 2, .keep_best = 2}), ElementsAre(20));
  EXPECT_THAT(StepsToDelete(kSteps, 50, {.keep_last = 1, .keep_best = 1, .lower_is_better = false}),
              ElementsAre(10, 30, 40));
}

TEST(Retention, AStepWithoutAFiniteMetricIsNeverTheBest) {
  EXPECT_THAT(
      StepsToDelete({{1, kNaN}, {2, {}}, {3, 9.0}, {4, {}}}, 4, {.keep_last = 1, .keep_best = 2}),
      ElementsAre(1, 2));
}

TEST(Retention, OfEqualMetricsTheLaterStepIsBetter) {
  EXPECT_THAT(StepsToDelete({{1, 5.0}, {2, 5.0}, {3, 6.0}}, 3, {.keep_last = 1, .keep_best = 1}),
              ElementsAre(1));
}

TEST(Retention, TheLatestStaysWhateverItsStep) {
  // Back to 20, and on from there: 30 to 50 are of the abandoned way, 50 not the last of this one.
  EXPECT_THAT(StepsToDelete(kSteps, 20, {.keep_last = 1}), ElementsAre(10, 30, 40, 50));
  EXPECT_THAT(StepsToDelete(kSteps, 20, {.keep_last = 2, .keep_best = 1}), ElementsAre(30, 40, 50));
}

}  // namespace
}  // namespace tanren::parallel
