// What a GPU does in a step, kernel by kernel, by libtorch's profiler (Kineto over CUPTI).
#ifndef TANREN_BENCHMARKS_DEVICE_PROFILE_H_
#define TANREN_BENCHMARKS_DEVICE_PROFILE_H_

#include <functional>
#include <string>

namespace tanren {

// Markdown tables of the kernels, copies and fills that `step` had the GPU do, and of the calls of
// CUDA that it made for that, most time first: the means of `steps` calls. Above them, the mean
// time of a step and the part of it that the GPU was busy. The profiler's own cost is in the
// former.
std::string ProfileOnDevice(const std::function<void()>& step, int steps);

}  // namespace tanren

#endif  // TANREN_BENCHMARKS_DEVICE_PROFILE_H_
