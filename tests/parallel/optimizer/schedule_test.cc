#include "parallel/optimizer/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tanren::parallel {
namespace {

using Kind = LearningRateSchedule::Kind;

struct Row {
  LearningRateSchedule schedule;
  int64_t step;
  double rate;
};

TEST(LearningRate, FollowsItsTable) {
  const LearningRateSchedule constant{Kind::kConstant, 2.0, 0.0, 4};
  const LearningRateSchedule linear{Kind::kLinear, 1.0, 0.1, 2, 12};
  const LearningRateSchedule cosine{Kind::kCosine, 1.0, 0.2, 0, 8};
  const LearningRateSchedule stable{Kind::kWarmupStableDecay, 1.0, 0.0, 5, 20, 4};
  const Row rows[] = {
      {constant, 0, 0.5},    {constant, 3, 2.0}, {constant, 4, 2.0},
      {constant, 1000, 2.0}, {linear, 0, 0.5},   {linear, 1, 1.0},
      {linear, 2, 1.0},      {linear, 7, 0.55},  {linear, 11, 0.19},
      {linear, 12, 0.1},     {linear, 99, 0.1},  {cosine, 0, 1.0},
      {cosine, 4, 0.6},      {cosine, 8, 0.2},   {cosine, 2, 0.2 + 0.4 * (1 + std::sqrt(0.5))},
      {stable, 0, 0.2},      {stable, 4, 1.0},   {stable, 15, 1.0},
      {stable, 16, 1.0},     {stable, 17, 0.75}, {stable, 19, 0.25},
      {stable, 20, 0.0},
  };
  for (const Row& row : rows) {
    EXPECT_NEAR(LearningRateAt(row.schedule, row.step), row.rate, 1e-12)
        << "kind " << static_cast<int>(row.schedule.kind) << ", step " << row.step;
  }
}

}  // namespace
}  // namespace tanren::parallel
