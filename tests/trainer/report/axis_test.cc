#include "trainer/report/axis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "trainer/report/html.h"

namespace tanren::trainer {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::SizeIs;

TEST(RoundTicks, AreRoundAndCoverTheRange) {
  EXPECT_THAT(RoundTicks(0, 1, 5), ElementsAre(0, 0.2, 0.4, DoubleNear(0.6, 1e-12), 0.8, 1));
  EXPECT_THAT(RoundTicks(0.3, 5.9, 5), ElementsAre(0, 2, 4, 6));
  EXPECT_THAT(RoundTicks(-3, 4, 3), ElementsAre(-5, 0, 5));
}

TEST(Axis, APlaceIsAShareOfItsLength) {
  const Axis round = RoundAxis(1, 9.5, 5);
  EXPECT_EQ(round.low, 0);
  EXPECT_EQ(round.high, 10);
  EXPECT_DOUBLE_EQ(round.ShareOf(2.5), 0.25);
  const Axis exact = ExactAxis(1, 40, 6);
  EXPECT_EQ(exact.low, 1);
  EXPECT_EQ(exact.high, 40);
  EXPECT_THAT(exact.ticks, ElementsAre(10, 20, 30, 40));
}

TEST(Axis, OfAConstantHasItInTheMiddleBetweenDifferentTicks) {
  for (double constant : {2e-5, -3.0, 512.0}) {
    const Axis axis = RoundAxis(constant, constant, 5);
    EXPECT_GT(axis.ShareOf(constant), 0.2) << constant;
    EXPECT_LT(axis.ShareOf(constant), 0.8) << constant;
    EXPECT_NE(TickText(axis.ticks[0]), TickText(axis.ticks[1])) << constant;
  }
}

TEST(Axis, OfNothingButZeroBeginsThere) {
  const Axis axis = RoundAxis(0, 0, 5);
  EXPECT_EQ(axis.low, 0);
  EXPECT_EQ(axis.high, 1);
}

TEST(Axis, OfFactorsIsLogarithmicWithPowersOfTen) {
  const Axis axis = LogAxis(0.5, 5000);
  EXPECT_THAT(axis.ticks, ElementsAre(1, 10, DoubleNear(100, 1e-9), DoubleNear(1000, 1e-9)));
  EXPECT_NEAR(axis.ShareOf(50), 0.5, 1e-9);
  EXPECT_THAT(LogAxis(1, 100).ticks, ElementsAre(1, 2, 5, 10, 20, 50, 100));
  EXPECT_THAT(LogAxis(1e-12, 1e24).ticks, SizeIs(testing::Le(8u)));
}

TEST(TickText, IsShort) {
  EXPECT_EQ(TickText(0), "0");
  EXPECT_EQ(TickText(0.1 + 0.2), "0.3");
  EXPECT_EQ(TickText(0.0005), "0.0005");
  EXPECT_EQ(TickText(2e-5), "2e-5");
  EXPECT_EQ(TickText(1e-12), "1e-12");
  EXPECT_EQ(TickText(2000), "2000");
  EXPECT_EQ(TickText(20'000), "20 k");
  EXPECT_EQ(TickText(1.5e6), "1.5 M");
  EXPECT_EQ(TickText(5e19), "5e+19");
}

TEST(FormatFigure, KeepsWhatMattersOfANumber) {
  EXPECT_EQ(FormatFigure(1.23456), "1.235");
  EXPECT_EQ(FormatFigure(134'515'008), "134.5 M");
  EXPECT_EQ(FormatFigure(0.00012), "1.20e-04");
  EXPECT_EQ(FormatFigure(0), "0.000");
  EXPECT_EQ(FormatFigure(1e20), "1.00e+20");
}

TEST(Clipped, CutsBetweenCharacters) {
  EXPECT_EQ(Clipped("abc", 3), "abc");
  EXPECT_EQ(Clipped("abcd", 3), "abc…");
  EXPECT_EQ(Clipped("日本語", 4), "日…");
  EXPECT_EQ(Clipped("日本語", 6), "日本…");
}

TEST(LanguageAttribute, KnowsJapaneseByItsKana) {
  EXPECT_EQ(LanguageAttribute("東京は?"), " lang=ja");
  EXPECT_EQ(LanguageAttribute("テスト"), " lang=ja");
  EXPECT_EQ(LanguageAttribute("東京"), "");
  EXPECT_EQ(LanguageAttribute("Tokyo、"), "") << "punctuation alone may be Chinese";
  EXPECT_EQ(LanguageAttribute("\xE3"), "");
}

}  // namespace
}  // namespace tanren::trainer
