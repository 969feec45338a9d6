#include "trainer/report/style.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace tanren::trainer {
namespace {

using ::testing::HasSubstr;

// Of WCAG 2.1: relative luminance, 0 to 1.
double Luminance(const std::string& color) {
  const double weights[] = {0.2126, 0.7152, 0.0722};
  double sum = 0;
  for (int i = 0; i < 3; ++i) {
    const double part = std::stoi(color.substr(1 + 2 * i, 2), nullptr, 16) / 255.0;
    sum += weights[i] * (part <= 0.04045 ? part / 12.92 : std::pow((part + 0.055) / 1.055, 2.4));
  }
  return sum;
}

double Contrast(const std::string& a, const std::string& b) {
  const double first = Luminance(a) + 0.05, second = Luminance(b) + 0.05;
  return std::max(first, second) / std::min(first, second);
}

TEST(Style, TheMeasureOfContrastIsTheStandards) {
  EXPECT_NEAR(Contrast("#000000", "#ffffff"), 21, 1e-9);
  EXPECT_NEAR(Contrast("#767676", "#ffffff"), 4.54, 0.01);  // its well-known grey
}

TEST(Style, TextAndLinesStandOutInLightAndDark) {
  for (const Colors* colors : {&kLightColors, &kDarkColors}) {
    for (const char* text : {colors->text, colors->soft, colors->right, colors->wrong}) {
      for (const char* behind : {colors->back, colors->box}) {
        EXPECT_GE(Contrast(text, behind), 4.5) << text << " on " << behind;
      }
    }
    for (const char* line : colors->series) {
      EXPECT_GE(Contrast(line, colors->back), 3) << line << " on " << colors->back;
    }
  }
}

TEST(Style, TheSheetHasTheColorsOfBoth) {
  const std::string sheet = StyleSheet();
  for (const Colors* colors : {&kLightColors, &kDarkColors}) {
    EXPECT_THAT(sheet, HasSubstr(std::string("--soft: ") + colors->soft));
    EXPECT_THAT(sheet, HasSubstr(std::string("--series-5: ") + colors->series[5]));
  }
  EXPECT_THAT(sheet, HasSubstr("prefers-color-scheme: dark"));
}

}  // namespace
}  // namespace tanren::trainer
