// The reduction that the nccl backend does itself: raw pointers, so that nvcc needn't see ATen.
#ifndef TANREN_RUNTIME_COMM_CUDA_REDUCE_PARTS_H_
#define TANREN_RUNTIME_COMM_CUDA_REDUCE_PARTS_H_

#include <cuda_runtime_api.h>

#include <cstdint>

namespace tanren::comm {

enum class PartType { kFloat, kDouble, kHalf, kBFloat16 };
enum class PartOp { kSum, kMax, kMin };

// See NcclApi::ReduceParts. Returns what the launch says.
cudaError_t LaunchReduceParts(PartOp op, PartType type, void* output, const void* parts,
                              int64_t stride, int part_count, int64_t count, cudaStream_t stream);

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_CUDA_REDUCE_PARTS_H_
