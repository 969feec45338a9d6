#include "trainer/report/axis.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "fmt/format.h"

namespace tanren::trainer {
namespace {

// A constant has room around it, so that its line is in the middle and ticks differ; 0, which most
// figures don't fall below, has room above it.
std::pair<double, double> Spread(double low, double high) {
  if (low < high) return {low, high};
  if (low == 0) return {0, 1};
  const double room = 0.1 * std::abs(low);
  return {low - room, high + room};
}

}  // namespace

double Axis::ShareOf(double value) const {
  if (logarithmic) return std::log(value / low) / std::log(high / low);
  return (value - low) / (high - low);
}

std::vector<double> RoundTicks(double low, double high, int count) {
  const double raw = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (double candidate : {1.0, 2.0, 5.0}) {
    if (candidate * power >= raw) {
      step = candidate * power;
      break;
    }
  }
  std::vector<double> ticks;
  const double first = std::floor(low / step + 1e-9);
  for (int64_t i = 0; ticks.empty() || ticks.back() < high - 1e-9 * step; ++i) {
    ticks.push_back((first + static_cast<double>(i)) * step);
  }
  return ticks;
}

Axis ExactAxis(double low, double high, int ticks) {
  Axis axis;
  std::tie(axis.low, axis.high) = Spread(low, high);
  for (double tick : RoundTicks(axis.low, axis.high, ticks)) {
    if (tick >= axis.low && tick <= axis.high) axis.ticks.push_back(tick);
  }
  return axis;
}

Axis RoundAxis(double low, double high, int ticks) {
  const auto [from, to] = Spread(low, high);
  Axis axis;
  axis.ticks = RoundTicks(from, to, ticks);
  axis.low = axis.ticks.front();
  axis.high = axis.ticks.back();
  return axis;
}

Axis LogAxis(double low, double high) {
  Axis axis;
  std::tie(axis.low, axis.high) = Spread(low, high);
  axis.logarithmic = true;
  const double decades = std::log10(axis.high / axis.low);
  // Powers of ten far apart are thinned to six or so.
  const int every = std::max(1, static_cast<int>(decades / 6));
  for (int power = static_cast<int>(std::floor(std::log10(axis.low)));
       std::pow(10.0, power) <= axis.high; power += every) {
    for (double digit : {1.0, 2.0, 5.0}) {
      const double tick = digit * std::pow(10.0, power);
      if (digit > 1 && decades > 3.2) break;
      if (tick >= axis.low && tick <= axis.high) axis.ticks.push_back(tick);
    }
  }
  return axis;
}

std::string TickText(double tick) {
  const double size = std::abs(tick);
  if (size >= 1e12) return fmt::format("{:g}", tick);
  if (size >= 1e9) return fmt::format("{:g} B", tick / 1e9);
  if (size >= 1e6) return fmt::format("{:g} M", tick / 1e6);
  if (size >= 1e4) return fmt::format("{:g} k", tick / 1e3);
  std::string text = fmt::format("{:g}", size < 1e-12 ? 0 : tick);
  // As people write it in recipes: 2e-5 for 2e-05.
  if (const size_t zero = text.find("e-0"); zero != std::string::npos) text.erase(zero + 2, 1);
  return text;
}

}  // namespace tanren::trainer
