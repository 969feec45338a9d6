#include <algorithm>

#include "runtime/cuda/elements.cuh"
#include "runtime/cuda/reduce_parts.h"

namespace tanren::cuda {
namespace {

struct Sum {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
// A NaN on either side stays.
struct Max {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return (isnan(b) || b > a) ? b : a;
  }
};
struct Min {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return (isnan(b) || b < a) ? b : a;
  }
};

template <typename T, typename Op>
__global__ void ReduceKernel(T* output, const T* parts, int64_t stride, int part_count,
                             int64_t count, Op op) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += step) {
    auto value = Load(parts[i]);
    for (int part = 1; part < part_count; ++part) value = op(value, Load(parts[part * stride + i]));
    Store(output + i, value);
  }
}

template <typename T, typename Op>
cudaError_t Launch(void* output, const void* parts, int64_t stride, int part_count, int64_t count,
                   cudaStream_t stream) {
  constexpr unsigned kMostBlocks = 4096;
  const unsigned blocks = std::min(BlocksFor(count, 1), kMostBlocks);
  ReduceKernel<<<blocks, kThreads, 0, stream>>>(
      static_cast<T*>(output), static_cast<const T*>(parts), stride, part_count, count, Op{});
  return cudaGetLastError();
}

template <typename T>
cudaError_t LaunchOp(PartOp op, void* output, const void* parts, int64_t stride, int part_count,
                     int64_t count, cudaStream_t stream) {
  switch (op) {
    case PartOp::kSum:
      return Launch<T, Sum>(output, parts, stride, part_count, count, stream);
    case PartOp::kMax:
      return Launch<T, Max>(output, parts, stride, part_count, count, stream);
    case PartOp::kMin:
      return Launch<T, Min>(output, parts, stride, part_count, count, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace

cudaError_t LaunchReduceParts(PartOp op, ElementType type, void* output, const void* parts,
                              int64_t stride, int part_count, int64_t count, cudaStream_t stream) {
  if (count <= 0) return cudaSuccess;
  switch (type) {
    case ElementType::kFloat:
      return LaunchOp<float>(op, output, parts, stride, part_count, count, stream);
    case ElementType::kDouble:
      return LaunchOp<double>(op, output, parts, stride, part_count, count, stream);
    case ElementType::kHalf:
      return LaunchOp<__half>(op, output, parts, stride, part_count, count, stream);
    case ElementType::kBFloat16:
      return LaunchOp<__nv_bfloat16>(op, output, parts, stride, part_count, count, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace tanren::cuda
