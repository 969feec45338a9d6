#include "coordinator/state/usage.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "coordinator/state/node_load.h"

namespace tanren::coordinator {

double GpuEquivalents(const Attempt& attempt) {
  int64_t gpus = 0;
  int64_t cpu_millis = 0;
  for (const Placement& placement : attempt.placements()) {
    gpus += std::max<int64_t>(placement.gpus_size(), placement.total().gpus());
    cpu_millis += placement.total().cpu_millis();
  }
  return gpus > 0 ? static_cast<double>(gpus) : static_cast<double>(cpu_millis) / 16'000;
}

double Decayed(const Usage& usage, int64_t half_life_ms, int64_t now_ms) {
  const int64_t age = std::max<int64_t>(now_ms - usage.at_ms(), 0);
  if (half_life_ms <= 0) return usage.gpu_seconds();
  return usage.gpu_seconds() *
         std::exp2(-static_cast<double>(age) / static_cast<double>(half_life_ms));
}

std::vector<Usage> AddUsage(const Cluster& cluster, const Job& job, double gpu_seconds,
                            int64_t half_life_ms, int64_t now_ms) {
  std::vector<Usage> changed;
  for (const std::string& subject : SubjectsOf(job)) {
    const auto found = cluster.usage.find(subject);
    const double before =
        found == cluster.usage.end() ? 0 : Decayed(found->second, half_life_ms, now_ms);
    Usage usage;
    usage.set_subject(subject);
    usage.set_gpu_seconds(before + gpu_seconds);
    usage.set_at_ms(now_ms);
    changed.push_back(std::move(usage));
  }
  return changed;
}

}  // namespace tanren::coordinator
