// Charts for pages that need no other file: a figure with its title and legend as text, and SVG.
// Their colours are the page's (style.h).
#ifndef TANREN_TRAINER_REPORT_CHART_H_
#define TANREN_TRAINER_REPORT_CHART_H_

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trainer/report/points.h"
#include "trainer/report/run_record.h"

namespace tanren::trainer {

struct LineSeries {
  std::string name;  // in the legend; empty: not there
  // In the order of x. More points than a chart can show are thinned to their buckets' means, with
  // a band from the least to the most of each.
  Points line;
  // Drawn as dots joined by a dashed line: what is measured now and then.
  Points dots;
  // Where the line has no number: it breaks there, and a cross marks the place.
  std::vector<double> gaps;
  int style = 0;          // which run it is of: gives colour and dashes
  bool is_limit = false;  // drawn thin and dotted: a bound of another series
};

struct LineChartText {
  std::string title;
  std::string x_label;
  std::string y_label;  // with the unit
};

enum class YScale {
  kFitted,    // to the values
  kFromZero,  // so that heights compare as the values do
  // Logarithmic where the values are above 0 and span more than a factor of 30; the chart says so.
  kLogWhereWide,
};

// Where a line is noisy, it is drawn faintly, with its moving average over it. Every dot, and the
// chart as a whole, has a text for readers who don't see it. Empty where no series has a point.
std::string LineChart(const LineChartText& text, std::span<const LineSeries> series,
                      YScale scale = YScale::kFitted);

struct BarGroup {
  std::string name;
  std::optional<Estimate> before, after;  // shares, 0 … 1
  int style = 0;
};

// Two bars for each group, with their intervals; the scale goes from 0 to 100 %.
std::string ShareChart(const std::string& title, std::span<const BarGroup> groups);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_REPORT_CHART_H_
