// Tasks of known, unequal cost over the threads of libtorch's pool.
#ifndef TANREN_RUNTIME_KERNELS_BALANCED_TASKS_H_
#define TANREN_RUNTIME_KERNELS_BALANCED_TASKS_H_

#include <cstdint>
#include <functional>
#include <span>

namespace tanren::kernels {

// Calls `run` once with each task's number. The dearest tasks go first, each to the thread with the
// least to do so far.
void RunBalanced(std::span<const double> costs, const std::function<void(int64_t task)>& run);

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_BALANCED_TASKS_H_
