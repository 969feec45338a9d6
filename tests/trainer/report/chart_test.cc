#include "trainer/report/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
namespace tanren::trainer {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

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
  const LineSeries series[] = {{.name = "a", .line = {{1, 4}, {2, 2}, {3, 3}}}};
  const auto lines = Lines(LineChart({"t", "x", "y"}, series));
  ASSERT_EQ(lines.size(), 1u);
  ASSERT_EQ(lines[0].size(), 3u);
  EXPECT_LT(lines[0][0].first, lines[0][1].first);
  EXPECT_LT(lines[0][1].first, lines[0][2].first);
  EXPECT_LT(lines[0][0].second, lines[0][2].second);  // y grows downwards
  EXPECT_LT(lines[0][2].second, lines[0][1].second);
}

TEST(LineChart, DrawsANoisyLinesAverageOverIt) {
  LineSeries series{.name = "a"};
  for (int i = 0; i < 200; ++i) series.line.emplace_back(i, i % 2 == 0 ? 0.0 : 2.0);
  const auto lines = Lines(LineChart({"t", "x", "y"}, {&series, 1}));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].size(), 200u);
  // The average of 0, 2, 0, 2, … is about 1 away from the ends, in the middle of 160 units.
  for (size_t i = 10; i < 190; ++i) EXPECT_NEAR(lines[1][i].second, 104, 10) << i;
}

TEST(LineChart, ASchedulesCornersAreNotSmoothedAway) {
  LineSeries series{.name = "a"};
  for (int i = 0; i <= 100; ++i) series.line.emplace_back(i, i < 10 ? 10.0 * i : 100.0 - i);
  const auto lines = Lines(LineChart({"t", "x", "y"}, {&series, 1}));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NEAR(lines[0][10].second, 24 + 0.1 * 160, 0.1);
}

TEST(LineChart, ThinsALongLine) {
  LineSeries series{.name = "a"};
  for (int i = 0; i < 50'000; ++i) series.line.emplace_back(i, i % 2 == 0 ? 0.0 : 2.0);
  const auto lines = Lines(LineChart({"t", "x", "y"}, {&series, 1}));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_LE(lines[0].size(), 400u);
  for (const auto& [x, y] : lines[0]) EXPECT_NEAR(y, lines[0].front().second, 3);
}

TEST(LineChart, DrawsASinglePointAndAConstant) {
  const LineSeries one{.name = "a", .dots = {{5, 7}}}, first{.name = "a", .line = {{1, 7}}},
      same{.name = "b", .line = {{1, 3}, {2, 3}}};
  EXPECT_THAT(LineChart({"t", "x", "y"}, {&one, 1}), HasSubstr("<circle"));
  EXPECT_THAT(LineChart({"t", "x", "y"}, {&first, 1}), HasSubstr("class=\"dot\"/>"));
  const auto lines = Lines(LineChart({"t", "x", "y"}, {&same, 1}));
  ASSERT_EQ(lines.size(), 1u);
  for (const auto& [x, y] : lines[0]) {
    EXPECT_GE(y, 24);
    EXPECT_LE(y, 184);
  }
}

TEST(LineChart, OfAFewStepsHasTicksAtWholeOnes) {
  const LineSeries series{.name = "a", .line = {{1, 4}, {2, 2}}};
  const std::string chart = LineChart({"t", "x", "y"}, {&series, 1});
  EXPECT_THAT(chart, AllOf(HasSubstr(">1</text>"), HasSubstr(">2</text>")));
  EXPECT_THAT(chart, Not(HasSubstr(">1.2</text>")));
}

TEST(LineChart, OfNothingIsNothing) {
  const LineSeries series{.name = "a"};
  EXPECT_EQ(LineChart({"t", "x", "y"}, {&series, 1}), "");
}

TEST(LineChart, BreaksWhereThereIsNoNumberAndMarksThePlace) {
  const LineSeries whole{.name = "a", .line = {{1, 1}, {2, 2}, {4, 4}, {5, 5}}};
  LineSeries broken = whole;
  broken.gaps = {3};
  EXPECT_EQ(Lines(LineChart({"t", "x", "y"}, {&whole, 1})).size(), 1u);
  const std::string chart = LineChart({"t", "x", "y"}, {&broken, 1});
  const auto lines = Lines(chart);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].size(), 2u);
  EXPECT_EQ(lines[1].size(), 2u);
  EXPECT_THAT(chart, HasSubstr("a: no finite number at 3"));
}

TEST(LineChart, KeepsTheHighestOfALongLineInSight) {
  LineSeries series{.name = "a"};
  for (int i = 0; i < 10'000; ++i) series.line.emplace_back(i, i == 5000 ? 100.0 : 1.0);
  const std::string chart = LineChart({"t", "x", "y"}, {&series, 1});
  const std::regex band("<path d=\"([^\"]*)Z\" class=\"band\"");
  std::smatch found;
  ASSERT_TRUE(std::regex_search(chart, found, band));
  // The plot begins 24 units below the top, and 100 is its highest tick.
  EXPECT_THAT(std::string(found[1]), HasSubstr(" 24.0L"));
}

TEST(LineChart, IsBoundedHoweverLongTheLinesAre) {
  LineSeries series{.name = "a"};
  for (int i = 0; i < 100'000; ++i) {
    series.line.emplace_back(i, i % 97);
    series.dots.emplace_back(i, i % 89);
    if (i % 3 == 0) series.gaps.push_back(i);
  }
  EXPECT_LT(LineChart({"t", "x", "y"}, {&series, 1}).size(), 100'000u);
}

TEST(LineChart, NamesItsSeriesInTextWithTheirLastFigures) {
  const LineSeries series[] = {{.name = "a long name of a run", .line = {{1, 4}, {2, 0.5}}},
                               {.name = "<b>", .line = {{1, 3}, {2, 0.25}}, .style = 1},
                               {.line = {{1, 5}, {2, 5}}, .is_limit = true}};
  const std::string chart = LineChart({"Loss", "step", "nats"}, series);
  EXPECT_THAT(chart, AllOf(HasSubstr("</i>a long name of a run <span class=soft>0.500</span>"),
                           HasSubstr("</i>&lt;b&gt; <span class=soft>0.250</span>"),
                           HasSubstr("aria-label=\"Loss. a long name of a run: 4.000 at 1, 0.500 "
                                     "at 2. &lt;b&gt;: 3.000 at 1, 0.250 at 2\"")));
  const std::regex entry("<li ");
  EXPECT_EQ(std::distance(std::sregex_iterator(chart.begin(), chart.end(), entry), {}), 2);
}

TEST(LineChart, RunsBeyondTheSixthHaveOtherDashes) {
  const LineSeries series[] = {{.name = "1", .line = {{1, 1}}, .style = 1},
                               {.name = "7", .line = {{1, 2}}, .style = 7}};
  EXPECT_THAT(LineChart({"t", "x", "y"}, series),
              AllOf(HasSubstr("<g class=\"run s1 d0\">"), HasSubstr("<g class=\"run s1 d1\">")));
}

TEST(LineChart, IsLogarithmicOnlyWhereItIsWideAndSaysSo) {
  const LineSeries wide{.name = "a", .line = {{1, 100}, {2, 1}}},
      narrow{.name = "a", .line = {{1, 20}, {2, 1}}}, zero{.name = "a", .line = {{1, 100}, {2, 0}}};
  const auto chart = [](const LineSeries& one) {
    return LineChart({"t", "x", "norm"}, {&one, 1}, YScale::kLogWhereWide);
  };
  EXPECT_THAT(chart(wide), HasSubstr(">norm, logarithmic<"));
  EXPECT_THAT(chart(narrow), HasSubstr(">norm<"));
  EXPECT_THAT(chart(zero), HasSubstr(">norm<"));
}

TEST(LineChart, FromZeroShowsValuesInTheirProportion) {
  const LineSeries series{.name = "a", .line = {{1, 80}, {2, 100}}};
  const auto lines = Lines(LineChart({"t", "x", "y"}, {&series, 1}, YScale::kFromZero));
  // The plot reaches from 184 up to 24.
  EXPECT_NEAR(lines[0][0].second, 184 - 0.8 * 160, 0.1);
  EXPECT_NEAR(lines[0][1].second, 24, 0.1);
}

TEST(ShareChart, SaysEachShareWithItsInterval) {
  const BarGroup group{"reasoning", Estimate{0, 0, 0.088}, Estimate{0.775, 0.625, 0.877}, 1};
  const std::string chart = ShareChart("Exact match", {&group, 1});
  EXPECT_THAT(chart, AllOf(HasSubstr(">0.0 %</text>"), HasSubstr(">77.5 %</text>"),
                           HasSubstr("reasoning, after: 77.5 % [62.5, 87.7]</title>"),
                           HasSubstr("Exact match. reasoning, before: 0.0 % [0.0, 8.8]. reasoning, "
                                     "after: 77.5 % [62.5, 87.7]\"")));
}

TEST(ShareChart, LeavesOutWhatWasNotTaken) {
  const BarGroup group{"run", std::nullopt, Estimate{0.5, 0.4, 0.6}, 0};
  EXPECT_THAT(ShareChart("t", {&group, 1}), Not(HasSubstr("before")));
}

}  // namespace
}  // namespace tanren::trainer
