#include <algorithm>

#include "fmt/format.h"
#include "trainer/report/chart.h"
#include "trainer/report/html.h"
#include "trainer/report/svg.h"

namespace tanren::trainer {
namespace {

constexpr double kWidth = 360;
constexpr double kLeft = 48, kRight = 52;  // for "before", and for "97.5 %"
constexpr double kBar = 16, kGap = 6, kName = 18, kBetween = 14, kAxis = 24;

double X(double share) { return kLeft + share * (kWidth - kRight - kLeft); }

std::string Bar(double y, const Estimate& share, const BarGroup& group, const char* when) {
  const double middle = y + kBar / 2;
  const std::string figure = fmt::format("{:.1f} %", 100 * share.value);
  std::string bar = fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"bar {}\"/>\n",
      kLeft, y, std::max(1.0, X(share.value) - kLeft), kBar, when);
  bar += fmt::format(
      "<path d=\"M{0:.1f} {2:.1f}H{1:.1f}M{0:.1f} {3:.1f}v8M{1:.1f} {3:.1f}v8\" "
      "class=\"whisker\"><title>{4}, {5}: {6} [{7:.1f}, {8:.1f}]</title></path>\n",
      X(share.low), X(share.high), middle, middle - 4, EscapeHtml(group.name), when, figure,
      100 * share.low, 100 * share.high);
  bar += SvgText(kLeft - 6, middle + 4, when, "text-anchor=\"end\"");
  return bar + SvgText(kWidth, middle + 4, figure, "text-anchor=\"end\" class=\"name\"");
}

}  // namespace

std::string ShareChart(const std::string& title, std::span<const BarGroup> groups) {
  std::string bars, description = title;
  double y = 0;
  for (const BarGroup& group : groups) {
    bars += fmt::format("<g {}>\n", RunClass(group.style));
    bars += SvgText(kLeft, y + 13, Clipped(group.name, 48), "class=\"name\"");
    y += kName;
    for (const auto& [share, when] :
         {std::pair(&group.before, "before"), std::pair(&group.after, "after")}) {
      if (!share->has_value()) continue;
      bars += Bar(y, **share, group, when);
      description += fmt::format(". {}, {}: {:.1f} % [{:.1f}, {:.1f}]", group.name, when,
                                 100 * (*share)->value, 100 * (*share)->low, 100 * (*share)->high);
      y += kBar + kGap;
    }
    bars += "</g>\n";
    y += kBetween;
  }
  std::string axis;
  for (int percent : {0, 25, 50, 75, 100}) {
    const double x = X(percent / 100.0);
    axis += SvgLine(x, 0, x, y, "class=\"grid\"");
    axis += SvgText(x, y + 14, fmt::format("{} %", percent), "text-anchor=\"middle\"");
  }
  return Figure(title, {}, kWidth, y + kAxis, description, axis + bars);
}

}  // namespace tanren::trainer
