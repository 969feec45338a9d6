// What curves are made of.
#ifndef TANREN_TRAINER_REPORT_POINTS_H_
#define TANREN_TRAINER_REPORT_POINTS_H_

#include <utility>
#include <vector>

namespace tanren::trainer {

// (x, y), in the order of x: a step and its value, or a place in a drawing.
using Points = std::vector<std::pair<double, double>>;

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_REPORT_POINTS_H_
