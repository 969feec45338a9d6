#include "trainer/report/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fmt/format.h"
#include "trainer/report/axis.h"
#include "trainer/report/html.h"
#include "trainer/report/svg.h"

namespace tanren::trainer {
namespace {

constexpr double kWidth = 360, kHeight = 220;
constexpr double kRight = 12, kTop = 24, kBottom = 36;
constexpr double kCharacter = 6.3;  // about as wide as a letter of the page's 11-unit font
constexpr size_t kMostPoints = 400;
// Shorter lines are read point by point.
constexpr size_t kSmoothedFrom = 60;
// More dots than this are a line.
constexpr size_t kMostDots = 60;
// Crosses that would be closer than this are one.
constexpr double kBetweenCrosses = 5;

struct Frame {
  Axis x, y;
  double left = 0;
  double X(double value) const { return left + x.ShareOf(value) * (kWidth - kRight - left); }
  double Y(double value) const {
    return kHeight - kBottom - y.ShareOf(value) * (kHeight - kBottom - kTop);
  }
  Points Placed(const Points& points) const {
    Points placed;
    for (const auto& [at, value] : points) placed.emplace_back(X(at), Y(value));
    return placed;
  }
};

// What at most `kMostPoints` buckets of a line hold.
struct Thinned {
  Points mean, least, most;
};

Thinned Thin(const Points& points) {
  const size_t buckets = std::min(points.size(), kMostPoints);
  Thinned thinned;
  for (size_t bucket = 0; bucket < buckets; ++bucket) {
    const size_t begin = bucket * points.size() / buckets;
    const size_t end = (bucket + 1) * points.size() / buckets;
    double x = 0, y = 0, least = points[begin].second, most = least;
    for (size_t i = begin; i < end; ++i) {
      x += points[i].first;
      y += points[i].second;
      least = std::min(least, points[i].second);
      most = std::max(most, points[i].second);
    }
    const auto count = static_cast<double>(end - begin);
    thinned.mean.emplace_back(x / count, y / count);
    thinned.least.emplace_back(x / count, least);
    thinned.most.emplace_back(x / count, most);
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

// Whether a line goes up and down more often than a curve that has a form, such as a schedule.
bool IsNoisy(const Points& points) {
  double way = 0, low = points.front().second, high = low;
  for (size_t i = 1; i < points.size(); ++i) {
    way += std::abs(points[i].second - points[i - 1].second);
    low = std::min(low, points[i].second);
    high = std::max(high, points[i].second);
  }
  return way > 3 * (high - low);
}

// The pieces of a line between its gaps.
std::vector<Points> Pieces(const Points& points, const std::vector<double>& gaps) {
  std::vector<Points> pieces(1);
  auto gap = gaps.begin();
  for (const auto& point : points) {
    bool passed = false;
    for (; gap != gaps.end() && *gap <= point.first; ++gap) passed = true;
    if (passed && !pieces.back().empty()) pieces.emplace_back();
    pieces.back().push_back(point);
  }
  return pieces;
}

std::string Line(const Points& points, const std::vector<double>& gaps, const Frame& frame,
                 const char* attributes) {
  std::string drawing;
  for (const Points& piece : Pieces(points, gaps)) {
    const Points placed = frame.Placed(piece);
    // A line of one point would not be seen.
    drawing += placed.size() == 1
                   ? fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" class=\"dot\"/>\n",
                                 placed[0].first, placed[0].second)
                   : SvgPolyline(placed, attributes);
  }
  return drawing;
}

std::string Band(const Thinned& thinned, const Frame& frame) {
  std::string path;
  for (const auto& [x, y] : frame.Placed(thinned.most)) {
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x, y);
  }
  const Points least = frame.Placed(thinned.least);
  for (auto point = least.rbegin(); point != least.rend(); ++point) {
    path += fmt::format("L{:.1f} {:.1f}", point->first, point->second);
  }
  return fmt::format("<path d=\"{}Z\" class=\"band\"/>\n", path);
}

std::string Dots(const LineSeries& series, const Frame& frame) {
  std::string drawing = SvgPolyline(frame.Placed(series.dots), "class=\"run sparse\"");
  for (const auto& [at, value] : series.dots) {
    drawing += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" class=\"dot\"><title>{}: {} at "
        "{:g}</title></circle>\n",
        frame.X(at), frame.Y(value), EscapeHtml(series.name), FormatFigure(value), at);
  }
  return drawing;
}

std::string Crosses(const LineSeries& series, const Frame& frame) {
  std::string drawing;
  double last = -std::numeric_limits<double>::infinity();
  for (double gap : series.gaps) {
    const double x = frame.X(gap);
    if (x - last < kBetweenCrosses) continue;
    last = x;
    drawing += fmt::format(
        "<path d=\"M{0:.1f} {2:.1f}L{1:.1f} {3:.1f}M{0:.1f} {3:.1f}L{1:.1f} {2:.1f}\" "
        "class=\"run\"><title>{4}: no finite number at {5:g}</title></path>\n",
        x - 3, x + 3, kTop + 2, kTop + 8, EscapeHtml(series.name), gap);
  }
  return drawing;
}

std::string Draw(const LineSeries& series, const Frame& frame) {
  std::string drawing = fmt::format("<g {}>\n", RunClass(series.style));
  const Points& line = series.line;
  if (series.is_limit) {
    drawing += Line(Thin(line).mean, {}, frame, "class=\"limit\"");
  } else if (line.size() > kMostPoints) {
    const Thinned thinned = Thin(line);
    drawing += Band(thinned, frame);
    drawing += Line(IsNoisy(thinned.mean) ? MovingAverage(thinned.mean) : thinned.mean, series.gaps,
                    frame, "");
  } else if (line.size() >= kSmoothedFrom && IsNoisy(line)) {
    drawing += Line(line, series.gaps, frame, "class=\"faint\"") +
               Line(MovingAverage(line), series.gaps, frame, "");
  } else if (!line.empty()) {
    drawing += Line(line, series.gaps, frame, "");
  }
  if (!series.dots.empty()) {
    drawing += series.dots.size() <= kMostDots ? Dots(series, frame)
                                               : Line(Thin(series.dots).mean, {}, frame, "");
  }
  return drawing + Crosses(series, frame) + "</g>\n";
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

bool IsWide(const Bounds& bounds) { return bounds.low > 0 && bounds.high > 30 * bounds.low; }

// Where the bounds are, and how much room the labels of the y axis take.
Frame FrameOf(const Bounds& across, const Bounds& up, YScale scale) {
  Frame frame;
  frame.x = ExactAxis(across.low, std::max(across.high, across.low + 1), 6);
  // There is no half step.
  std::erase_if(frame.x.ticks,
                [](double tick) { return std::abs(tick - std::round(tick)) > 1e-9; });
  if (scale == YScale::kLogWhereWide && IsWide(up)) {
    frame.y = LogAxis(up.low, up.high);
  } else {
    frame.y = RoundAxis(scale == YScale::kFitted ? up.low : std::min(0.0, up.low), up.high, 5);
  }
  size_t longest = 0;
  for (double tick : frame.y.ticks) longest = std::max(longest, TickText(tick).size());
  frame.left = 12 + kCharacter * static_cast<double>(longest);
  return frame;
}

std::string Axes(const Frame& frame, const LineChartText& text) {
  std::string drawing;
  for (double tick : frame.y.ticks) {
    drawing += SvgLine(frame.left, frame.Y(tick), kWidth - kRight, frame.Y(tick), "class=\"grid\"");
    drawing += SvgText(frame.left - 6, frame.Y(tick) + 4, TickText(tick), "text-anchor=\"end\"");
  }
  drawing +=
      SvgLine(frame.left, kHeight - kBottom, kWidth - kRight, kHeight - kBottom, "class=\"axis\"");
  for (double tick : frame.x.ticks) {
    const double x = frame.X(tick);
    drawing += SvgLine(x, kHeight - kBottom, x, kHeight - kBottom + 4, "class=\"axis\"");
    drawing += SvgText(std::min(x, kWidth - kRight - 2), kHeight - kBottom + 16, TickText(tick),
                       "text-anchor=\"middle\"");
  }
  drawing += SvgText((frame.left + kWidth - kRight) / 2, kHeight - 5, text.x_label,
                     "text-anchor=\"middle\"");
  return drawing + SvgText(0, 11, text.y_label + (frame.y.logarithmic ? ", logarithmic" : ""));
}

// "direct: 3.477 at 1, 0.023 at 40".
std::string InWords(const LineSeries& series) {
  const Points& points = series.line.empty() ? series.dots : series.line;
  if (points.empty()) return {};
  const auto& [first, start] = points.front();
  const auto& [last, end] = points.back();
  return fmt::format("{}: {} at {:g}, {} at {:g}", series.name, FormatFigure(start), first,
                     FormatFigure(end), last);
}

}  // namespace

std::string LineChart(const LineChartText& text, std::span<const LineSeries> series, YScale scale) {
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
  for (const LineSeries& one : series) {
    for (double gap : one.gaps) across.Add(gap);
  }
  const Frame frame = FrameOf(across, up, scale);
  std::string drawing = Axes(frame, text), description = text.title;
  std::vector<LegendEntry> legend;
  for (const LineSeries& one : series) {
    drawing += Draw(one, frame);
    const std::string words = InWords(one);
    if (one.name.empty() || words.empty()) continue;
    const Points& points = one.line.empty() ? one.dots : one.line;
    legend.push_back({one.name, FormatFigure(points.back().second), one.style});
    description += ". " + words;
  }
  return Figure(text.title, legend, kWidth, kHeight, description, drawing);
}

}  // namespace tanren::trainer
