// The pieces that charts are drawn of. Lengths are in SVG units, about one pixel of a page.
#ifndef TANREN_TRAINER_REPORT_SVG_H_
#define TANREN_TRAINER_REPORT_SVG_H_

#include <span>
#include <string>
#include <string_view>

#include "trainer/report/points.h"

namespace tanren::trainer {

// An entry of a chart's legend.
struct LegendEntry {
  std::string name;
  std::string value;  // its last figure; may be empty
  int style = 0;
};

// "class=\"run s2 d1\"": the colour and dashes of a run in the page's style.
std::string RunClass(int style);

std::string SvgText(double x, double y, std::string_view text, std::string_view attributes = "");
std::string SvgLine(double x1, double y1, double x2, double y2, std::string_view attributes);
std::string SvgPolyline(const Points& points, std::string_view attributes);

// A figure: its title, its legend, and the drawing of the given size. `description` is for readers
// who don't see it.
std::string Figure(std::string_view title, std::span<const LegendEntry> legend, double width,
                   double height, std::string_view description, std::string_view drawing);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_REPORT_SVG_H_
