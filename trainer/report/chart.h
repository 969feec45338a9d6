// Charts as SVG, for pages that need no other file. Their colours are the page's: CSS variables
// --series-0 … --series-5, --text, --grid.
#ifndef TANREN_TRAINER_REPORT_CHART_H_
#define TANREN_TRAINER_REPORT_CHART_H_

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "trainer/report/run_record.h"

namespace tanren::trainer {

inline constexpr int kSeriesColors = 6;

struct LineSeries {
  std::string name;
  // In the order of x. More points than a chart can show are thinned to their buckets' means.
  std::vector<std::pair<double, double>> line;
  // Drawn as dots joined by a dashed line: what is measured now and then.
  std::vector<std::pair<double, double>> dots;
  int color = 0;
};

struct LineChartText {
  std::string title;
  std::string x_label;
  std::string y_label;
};

// Where a line is noisy, it is drawn faintly, with its moving average over it. Every dot, and the
// chart as a whole, has a text for readers who don't see it. Empty where no series has a point.
std::string LineChart(const LineChartText& text, std::span<const LineSeries> series);

struct BarGroup {
  std::string name;
  std::optional<Estimate> before, after;  // shares, 0 … 1
  int color = 0;
};

// Two bars for each group, with their intervals; the scale goes from 0 to 100 %.
std::string ShareChart(const std::string& title, std::span<const BarGroup> groups);

// Equidistant round values that cover [low, high], about `count` of them: for axes.
std::vector<double> RoundTicks(double low, double high, int count);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_REPORT_CHART_H_
