// What the machine could do at most, for "share of the machine's limit".
#ifndef TANREN_TRAINER_LOOP_MACHINE_LIMIT_H_
#define TANREN_TRAINER_LOOP_MACHINE_LIMIT_H_

#include <ATen/core/Tensor.h>

namespace tanren::trainer {

// Floating-point operations a second that the products of this process's steps (kernels::Multiply)
// reach with its threads, measured: the best of several of 1024 × 1024 × 1024, about 0.2 s in all;
// on a GPU of 8192 × 8192 × 8192.
double MeasureProductRate(at::ScalarType dtype, at::Device device);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_LOOP_MACHINE_LIMIT_H_
