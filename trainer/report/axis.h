// Axes of charts: which part of the numbers they show, and the round values that are written beside
// them.
#ifndef TANREN_TRAINER_REPORT_AXIS_H_
#define TANREN_TRAINER_REPORT_AXIS_H_

#include <string>
#include <vector>

namespace tanren::trainer {

// Shows [low, high], low < high; logarithmic ones above 0.
struct Axis {
  double low = 0;
  double high = 1;
  bool logarithmic = false;
  std::vector<double> ticks;  // rising, within [low, high]

  // How far along the axis a value stands: 0 at low, 1 at high.
  double ShareOf(double value) const;
};

// From low to high, or somewhat around them where they are the same.
Axis ExactAxis(double low, double high, int ticks);
// Widened to round values at both ends.
Axis RoundAxis(double low, double high, int ticks);
// For values above 0: ticks are powers of ten, and 2 and 5 between where there are few of those.
Axis LogAxis(double low, double high);

// Equidistant round values that cover [low, high], about `count` of them.
std::vector<double> RoundTicks(double low, double high, int count);

// "0.0005", "2e-5", "20 k", "1.5 M".
std::string TickText(double tick);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_REPORT_AXIS_H_
