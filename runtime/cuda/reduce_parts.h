// The reduction that the nccl backend does itself: raw pointers, so that nvcc needn't see ATen.
#ifndef TANREN_RUNTIME_CUDA_REDUCE_PARTS_H_
#define TANREN_RUNTIME_CUDA_REDUCE_PARTS_H_

#include <cuda_runtime_api.h>

#include <cstdint>

#include "runtime/cuda/element_type.h"

namespace tanren::cuda {

enum class PartOp { kSum, kMax, kMin };

// See comm::NcclApi::ReduceParts. Returns what the launch says.
cudaError_t LaunchReduceParts(PartOp op, ElementType type, void* output, const void* parts,
                              int64_t stride, int part_count, int64_t count, cudaStream_t stream);

}  // namespace tanren::cuda

#endif  // TANREN_RUNTIME_CUDA_REDUCE_PARTS_H_
