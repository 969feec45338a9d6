#include "parallel/checkpoint/retention.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace tanren::parallel {

std::vector<int64_t> StepsToDelete(std::vector<RetainedStep> steps, int64_t latest,
                                   const RetentionPolicy& policy) {
  if (policy.keep_last <= 0) return {};
  std::sort(steps.begin(), steps.end(),
            [](const RetainedStep& a, const RetainedStep& b) { return a.step > b.step; });
  std::set<int64_t> kept = {latest};
  std::vector<RetainedStep> measured;  // latest first
  int last = 0;
  for (const RetainedStep& one : steps) {
    if (one.step > latest) continue;
    if (last++ < policy.keep_last) kept.insert(one.step);
    if (one.metric && !std::isnan(*one.metric)) measured.push_back(one);
  }
  std::stable_sort(measured.begin(), measured.end(),
                   [&](const RetainedStep& a, const RetainedStep& b) {
                     return policy.lower_is_better ? *a.metric < *b.metric : *a.metric > *b.metric;
                   });
  for (int i = 0; i < policy.keep_best && i < static_cast<int>(measured.size()); ++i) {
    kept.insert(measured[i].step);
  }
  std::vector<int64_t> deleted;
  for (auto one = steps.rbegin(); one != steps.rend(); ++one) {
    if (!kept.contains(one->step)) deleted.push_back(one->step);
  }
  return deleted;
}

}  // namespace tanren::parallel
