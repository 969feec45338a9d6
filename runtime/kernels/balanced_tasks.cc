#include "runtime/kernels/balanced_tasks.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace tanren::kernels {

void RunBalanced(std::span<const double> costs, const std::function<void(int64_t task)>& run) {
  const int64_t count = static_cast<int64_t>(costs.size());
  const int64_t threads =
      std::clamp<int64_t>(at::get_num_threads(), 1, std::max<int64_t>(count, 1));
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater<>(), [&](int64_t task) { return costs[task]; });
  std::vector<std::vector<int64_t>> lists(threads);
  std::vector<double> loads(threads, 0);
  for (int64_t task : order) {
    const auto least = std::ranges::min_element(loads) - loads.begin();
    lists[least].push_back(task);
    loads[least] += costs[task];
  }
  at::parallel_for(0, threads, 1, [&](int64_t first, int64_t end) {
    for (int64_t list = first; list < end; ++list) {
      for (int64_t task : lists[list]) run(task);
    }
  });
}

}  // namespace tanren::kernels
