// Ranks as processes with a GPU each, over NCCL, which this sees through NcclApi alone.
//
// Each group has a stream of its own; Work::Wait makes libtorch's current stream wait for it, not
// the processor. Sums in fp32, fp64 and integers are NCCL's: their order depends on the ranks and
// on how they are connected, not on timing. Everything else that rounds (bf16 and fp16) or that
// NCCL takes differently (it drops NaN from a maximum) is moved between the ranks as it is and
// reduced here in rank order: a reduce-scatter moves no more bytes that way than NCCL's own.
#ifndef TANREN_RUNTIME_COMM_NCCL_H_
#define TANREN_RUNTIME_COMM_NCCL_H_

#include <chrono>
#include <memory>

#include "runtime/comm/communicator.h"
#include "runtime/comm/nccl_api.h"
#include "runtime/device/cuda_module.h"

namespace tanren::comm {

struct NcclOptions {
  // bf16 and fp16 are summed by NCCL, which rounds at each rank on the way: for large groups over a
  // network, where its trees and switches beat sending to each rank.
  bool sum_half_by_nccl = false;
  // Scratch memory on the device that a reduction takes for itself.
  int64_t scratch_bytes = int64_t{64} << 20;
  // TakeBuffer gives memory that NCCL allocates and has registered.
  bool register_buffers = true;
  // How long ranks wait for each other where a group is made.
  std::chrono::milliseconds join_timeout = std::chrono::minutes(2);
  // How long a call may take to be started, which needs the other ranks for the first of its kind.
  std::chrono::milliseconds call_timeout = std::chrono::minutes(10);
};

// That of a GPU of this process, by number, as the CUDA module has it.
std::shared_ptr<NcclApi> NcclOf(const device::CudaModule& module, int number);

// This process's rank of a new group "world". Every rank calls it with the same `id` and size.
// Throws Error: kDeadlineExceeded if the others don't come, else with NCCL's words.
std::unique_ptr<Communicator> NcclWorld(std::shared_ptr<NcclApi> api, int rank, int size,
                                        const NcclId& id, const NcclOptions& options);

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_NCCL_H_
