#include "trainer/report/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

#include "trainer/report/html.h"

namespace tanren::trainer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The points of each polyline of a drawing.
std::vector<std::vector<std::pair<double, double>>> Lines(const std::string& svg) {
  std::vector<std::vector<std::pair<double, double>>> lines;
  const std::regex polyline("points=\"([^\"]*)\""), point("([-0-9.]+),([-0-9.]+)");
  for (std::sregex_iterator line(svg.begin(), svg.end(), polyline), end; line != end; ++line) {
    const std::string text = (*line)[1];
    auto& points = lines.emplace_back();
    for (std::sregex_iterator it(text.begin(), text.end(), point), last; it != last; ++it) {
      points.emplace_back(std::stod((*it)[1]), std::stod((*it)[2]));
    }
  }
  return lines;
}

TEST(LineChart, PutsHigherValuesHigherAndLaterStepsFurtherRight) {
  const LineSeries series[] = {{"a", {{1, 4}, {2, 2}, {3, 3}}, {}, 0}};
  const auto lines = Lines(LineChart({"t", "x", "y"}, series));
  ASSERT_EQ(lines.size(), 1u);
  ASSERT_EQ(lines[0].size(), 3u);
  EXPECT_LT(lines[0][0].first, lines[0][1].first);
  EXPECT_LT(lines[0][1].first, lines[0][2].first);
  EXPECT_LT(lines[0][0].second, lines[0][2].second);  // y grows downwards
  EXPECT_LT(lines[0][2].second, lines[0][1].second);
}

TEST(LineChart, ThinsALongLineAndDrawsItsAverageOverIt) {
  LineSeries series{"a", {}, {}, 0};
  for (int i = 0; i < 50'000; ++i) series.line.emplace_back(i, i % 2 == 0 ? 0.0 : 2.0);
  const auto lines = Lines(LineChart({"t", "x", "y"}, {&series, 1}));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_LE(lines[0].size(), 600u);
  // The average of 0, 2, 0, 2, … is 1 everywhere.
  for (const auto& [x, y] : lines[1]) EXPECT_NEAR(y, lines[1].front().second, 3);
}

TEST(LineChart, DrawsASinglePointAndAConstant) {
  const LineSeries one{"a", {}, {{5, 7}}, 0}, same{"b", {{1, 3}, {2, 3}}, {}, 1};
  EXPECT_THAT(LineChart({"t", "x", "y"}, {&one, 1}), HasSubstr("<circle"));
  const auto lines = Lines(LineChart({"t", "x", "y"}, {&same, 1}));
  ASSERT_EQ(lines.size(), 1u);
  for (const auto& [x, y] : lines[0]) {
    EXPECT_GE(y, 0);
    EXPECT_LE(y, 300);
  }
}

TEST(LineChart, OfNothingIsNothing) {
  const LineSeries series{"a", {}, {}, 0};
  EXPECT_EQ(LineChart({"t", "x", "y"}, {&series, 1}), "");
}

TEST(RoundTicks, AreRoundAndCoverTheRange) {
  EXPECT_THAT(RoundTicks(0, 1, 5),
              ElementsAre(0, 0.2, 0.4, testing::DoubleNear(0.6, 1e-12), 0.8, 1));
  EXPECT_THAT(RoundTicks(0.3, 5.9, 5), ElementsAre(0, 2, 4, 6));
  EXPECT_THAT(RoundTicks(-3, 4, 3), ElementsAre(-5, 0, 5));
}

TEST(FormatFigure, KeepsWhatMattersOfANumber) {
  EXPECT_EQ(FormatFigure(1.23456), "1.235");
  EXPECT_EQ(FormatFigure(134'515'008), "134.5 M");
  EXPECT_EQ(FormatFigure(0.00012), "1.20e-04");
  EXPECT_EQ(FormatFigure(0), "0.000");
}

}  // namespace
}  // namespace tanren::trainer
