// How a report looks: colours for light and dark, and the style sheet made of them.
#ifndef TANREN_TRAINER_REPORT_STYLE_H_
#define TANREN_TRAINER_REPORT_STYLE_H_

#include <string>

namespace tanren::trainer {

inline constexpr int kSeriesColors = 6;
// Runs beyond the sixth have the colours again, with other dashes.
inline constexpr int kSeriesDashes = 3;

// "#rrggbb" each.
struct Colors {
  const char* text;
  const char* soft;  // less important text
  const char* grid;
  const char* back;
  const char* box;  // behind recipes and messages
  const char* right;
  const char* wrong;
  const char* series[kSeriesColors];
};

// Text stands out from back and box by 4.5 : 1, lines of series from back by 3 : 1 (WCAG 2.1).
extern const Colors kLightColors, kDarkColors;

std::string StyleSheet();

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_REPORT_STYLE_H_
