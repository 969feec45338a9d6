#include "benchmarks/device_profile.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "fmt/format.h"

namespace tanren {
namespace {

namespace profiler = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;

constexpr size_t kLongestName = 110;

struct Spent {
  int64_t calls = 0;
  double nanoseconds = 0;
  void Add(double more) {
    ++calls;
    nanoseconds += more;
  }
};
using SpentByName = std::map<std::string, Spent>;

// Kernels of templates have names of hundreds of characters; the end tells them apart as well.
std::string Shortened(std::string name) {
  std::replace(name.begin(), name.end(), '|', '/');
  if (name.size() <= kLongestName) return name;
  return name.substr(0, kLongestName / 2) + " … " + name.substr(name.size() - kLongestName / 2);
}

// Most time first.
std::string Rows(const SpentByName& by_name, double a_step_ns, int steps, size_t most) {
  std::vector<std::pair<std::string, Spent>> rows(by_name.begin(), by_name.end());
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.second.nanoseconds > b.second.nanoseconds;
  });
  std::string text;
  for (size_t i = 0; i < std::min(rows.size(), most); ++i) {
    const auto& [name, spent] = rows[i];
    const double ns = spent.nanoseconds / steps;
    text += fmt::format("| {:.1f} % | {:.2f} | {} | `{}` |\n", 100 * ns / a_step_ns, ns / 1e6,
                        spent.calls / steps, Shortened(name));
  }
  return text;
}

}  // namespace

std::string ProfileOnDevice(const std::function<void()>& step, int steps) {
  const std::set<ActivityType> activities = {ActivityType::CPU, ActivityType::CUDA};
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < steps; ++i) step();
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - start;
  const auto found = profiler::disableProfiler();

  SpentByName on_device, in_calls;
  std::vector<std::pair<uint64_t, uint64_t>> busy;
  for (const profiler::KinetoEvent& event : found->events()) {
    const auto nanoseconds = static_cast<double>(event.durationNs());
    if (event.deviceType() == c10::DeviceType::CUDA && event.durationNs() > 0) {
      on_device[event.name()].Add(nanoseconds);
      busy.emplace_back(event.startNs(), event.endNs());
    } else if (event.name().starts_with("cuda")) {
      in_calls[event.name()].Add(nanoseconds);
    }
  }
  // Streams overlap: their union counts.
  std::sort(busy.begin(), busy.end());
  double busy_ns = 0;
  uint64_t until = 0;
  for (const auto& [begin, end] : busy) {
    if (end > until) busy_ns += static_cast<double>(end - std::max(begin, until));
    until = std::max(until, end);
  }
  const double a_step_ns = whole.count() * 1e9 / steps;
  return fmt::format(
      "{:.1f} ms a step, of which the GPU was busy {:.1f} %\n\n"
      "| share of the step | ms | calls | the GPU's work |\n|---|---|---|---|\n{}\n"
      "| share of the step | ms | calls | the host's calls of CUDA |\n|---|---|---|---|\n{}",
      a_step_ns / 1e6, 100 * busy_ns / steps / a_step_ns, Rows(on_device, a_step_ns, steps, 40),
      Rows(in_calls, a_step_ns, steps, 8));
}

}  // namespace tanren
