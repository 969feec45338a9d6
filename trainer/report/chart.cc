#include "trainer/report/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fmt/format.h"
#include "trainer/report/html.h"

namespace tanren::trainer {
namespace {

using Points = std::vector<std::pair<double, double>>;

// In SVG units.
constexpr double kWidth = 560, kHeight = 300;
constexpr double kLeft = 56, kRight = 16, kTop = 34, kBottom = 44;
constexpr size_t kMostPoints = 600;
// Shorter lines are read point by point.
constexpr size_t kSmoothedFrom = 60;

struct Scale {
  double low = 0, high = 1;
  double from = 0, to = 1;  // where low and high are drawn
  double operator()(double value) const {
    return from + (value - low) / (high - low) * (to - from);
  }
};

// A bucket's mean step and mean value for each of at most `most` buckets.
Points Thinned(const Points& points, size_t most) {
  if (points.size() <= most) return points;
  Points thinned;
  for (size_t bucket = 0; bucket < most; ++bucket) {
    const size_t begin = bucket * points.size() / most, end = (bucket + 1) * points.size() / most;
    double x = 0, y = 0;
    for (size_t i = begin; i < end; ++i) {
      x += points[i].first;
      y += points[i].second;
    }
    const auto count = static_cast<double>(end - begin);
    thinned.emplace_back(x / count, y / count);
  }
  return thinned;
}

// The mean over a window of a twentieth of the line around each point.
Points MovingAverage(const Points& points) {
  const auto half = static_cast<int64_t>(points.size() / 40 + 1);
  Points smooth;
  for (int64_t i = 0; i < static_cast<int64_t>(points.size()); ++i) {
    // As wide on both sides, so that the ends don't lag.
    const int64_t reach = std::min({half, i, static_cast<int64_t>(points.size()) - 1 - i});
    double sum = 0;
    for (int64_t j = i - reach; j <= i + reach; ++j) sum += points[j].second;
    smooth.emplace_back(points[i].first, sum / static_cast<double>(2 * reach + 1));
  }
  return smooth;
}

std::string Polyline(const Points& points, const Scale& x, const Scale& y,
                     const std::string& style) {
  std::string coordinates;
  for (const auto& [at, value] : points)
    coordinates += fmt::format("{:.1f},{:.1f} ", x(at), y(value));
  return fmt::format("<polyline points=\"{}\" fill=\"none\" {}/>\n", coordinates, style);
}

std::string Text(double x, double y, const std::string& text, const std::string& attributes = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", x, y, attributes,
                     EscapeHtml(text));
}

std::string Begin(const std::string& title, double width) {
  return fmt::format(
             "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
             "aria-label=\"{2}\">\n",
             width, kHeight, EscapeHtml(title)) +
         Text(kLeft, 18, title, "class=\"title\"");
}

std::string HorizontalGrid(const std::vector<double>& ticks, const Scale& y, double width,
                           const char* unit) {
  std::string grid;
  for (double tick : ticks) {
    grid += fmt::format(
        "<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\" class=\"grid\"/>\n", kLeft,
        width - kRight, y(tick), y(tick));
    grid += Text(kLeft - 6, y(tick) + 4, fmt::format("{:g}{}", tick, unit), "text-anchor=\"end\"");
  }
  return grid;
}

struct Bounds {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void Add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

// The names of series, right above the plot.
std::string Legend(std::span<const LineSeries> series) {
  std::string legend;
  double x = kWidth - kRight;
  for (auto entry = series.rbegin(); entry != series.rend(); ++entry) {
    // About 6.2 units a character of the page's 11-unit font.
    x -= 6.2 * static_cast<double>(entry->name.size()) + 28;
    legend += fmt::format(
        "<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"14\" y2=\"14\" stroke=\"var(--series-{})\" "
        "stroke-width=\"3\"/>\n",
        x, x + 16, entry->color);
    legend += Text(x + 20, 18, entry->name);
  }
  return legend;
}

std::string Draw(const LineSeries& series, const Scale& x, const Scale& y) {
  const std::string stroke = fmt::format("stroke=\"var(--series-{})\"", series.color);
  const Points line = Thinned(series.line, kMostPoints);
  std::string drawing;
  if (line.size() >= kSmoothedFrom) {
    drawing += Polyline(line, x, y, stroke + " stroke-width=\"1\" opacity=\"0.3\"");
    drawing += Polyline(MovingAverage(line), x, y, stroke + " stroke-width=\"2\"");
  } else if (!line.empty()) {
    drawing += Polyline(line, x, y, stroke + " stroke-width=\"2\"");
  }
  if (!series.dots.empty()) {
    drawing += Polyline(series.dots, x, y, stroke + " stroke-width=\"1\" stroke-dasharray=\"4 4\"");
  }
  for (const auto& [at, value] : series.dots) {
    drawing += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"var(--series-{})\">"
        "<title>{}: {} at {:g}</title></circle>\n",
        x(at), y(value), series.color, EscapeHtml(series.name), FormatFigure(value), at);
  }
  return drawing;
}

std::string Bar(double x, double width, const Estimate& share, const Scale& y, int color,
                const char* opacity, const std::string& what) {
  std::string bar = fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
      "fill=\"var(--series-{})\" "
      "opacity=\"{}\"><title>{}: {:.1f} % [{:.1f}, {:.1f}]</title></rect>\n",
      x, y(share.value), width, std::max(1.0, y(0) - y(share.value)), color, opacity,
      EscapeHtml(what), 100 * share.value, 100 * share.low, 100 * share.high);
  const double middle = x + width / 2;
  bar += fmt::format(
      "<path d=\"M{0:.1f} {1:.1f}V{2:.1f}M{3:.1f} {1:.1f}h10M{3:.1f} {2:.1f}h10\" "
      "class=\"whisker\"/>\n",
      middle, y(share.low), y(share.high), middle - 5);
  // Beside the whisker, so that neither hides the other.
  bar += Text(middle + 8, std::max(y(share.value) - 5, kTop + 8),
              fmt::format("{:.0f} %", 100 * share.value));
  return bar;
}

}  // namespace

std::vector<double> RoundTicks(double low, double high, int count) {
  const double raw = std::max(high - low, 1e-12) / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (double candidate : {1.0, 2.0, 5.0}) {
    if (candidate * power >= raw) {
      step = candidate * power;
      break;
    }
  }
  std::vector<double> ticks;
  const auto first = static_cast<int64_t>(std::floor(low / step + 1e-9));
  for (int64_t i = first; ticks.empty() || ticks.back() < high - 1e-9 * step; ++i) {
    ticks.push_back(static_cast<double>(i) * step);
  }
  return ticks;
}

std::string LineChart(const LineChartText& text, std::span<const LineSeries> series) {
  Bounds across, up;
  for (const LineSeries& one : series) {
    for (const Points* points : {&one.line, &one.dots}) {
      for (const auto& [x, y] : *points) {
        across.Add(x);
        up.Add(y);
      }
    }
  }
  if (across.empty()) return {};
  const std::vector<double> y_ticks = RoundTicks(up.low, std::max(up.high, up.low + 1e-9), 5);
  const std::vector<double> x_ticks =
      RoundTicks(across.low, std::max(across.high, across.low + 1), 6);
  const Scale x{across.low, std::max(across.high, across.low + 1), kLeft, kWidth - kRight};
  const Scale y{y_ticks.front(), y_ticks.back(), kHeight - kBottom, kTop};

  std::string svg = Begin(text.title, kWidth);
  svg += HorizontalGrid(y_ticks, y, kWidth, "");
  for (double tick : x_ticks) {
    if (tick < x.low || tick > x.high) continue;
    svg +=
        Text(x(tick), kHeight - kBottom + 18, fmt::format("{:g}", tick), "text-anchor=\"middle\"");
  }
  svg += Text((kLeft + kWidth - kRight) / 2, kHeight - 8, text.x_label, "text-anchor=\"middle\"");
  svg += Text(14, (kTop + kHeight - kBottom) / 2, text.y_label,
              fmt::format("text-anchor=\"middle\" transform=\"rotate(-90 14 {:.0f})\"",
                          (kTop + kHeight - kBottom) / 2));
  if (series.size() > 1) svg += Legend(series);
  for (const LineSeries& one : series) svg += Draw(one, x, y);
  return svg + "</svg>\n";
}

std::string ShareChart(const std::string& title, std::span<const BarGroup> groups) {
  constexpr double kBar = 46, kGap = 14, kBetween = 60;
  const double group_width = 2 * kBar + kGap + kBetween;
  const double width =
      std::max(kWidth, kLeft + kRight + group_width * static_cast<double>(groups.size()));
  const Scale y{0, 1, kHeight - kBottom, kTop};
  std::string svg = Begin(title, width);
  const Scale percent{0, 100, y.from, y.to};
  svg += HorizontalGrid({0, 20, 40, 60, 80, 100}, percent, width, " %");
  double x = kLeft + kBetween / 2;
  for (const BarGroup& group : groups) {
    if (group.before) {
      svg += Bar(x, kBar, *group.before, y, group.color, "0.4", group.name + ", before");
    }
    if (group.after) {
      svg += Bar(x + kBar + kGap, kBar, *group.after, y, group.color, "1", group.name + ", after");
    }
    for (const auto& [offset, label] :
         {std::pair(kBar / 2, "before"), std::pair(1.5 * kBar + kGap, "after")}) {
      svg += Text(x + offset, kHeight - kBottom + 16, label, "text-anchor=\"middle\"");
    }
    svg += Text(x + kBar + kGap / 2, kHeight - 10, group.name, "text-anchor=\"middle\"");
    x += group_width;
  }
  return svg + "</svg>\n";
}

}  // namespace tanren::trainer
