// One storage whose memory is freed and taken again while tensors that alias it live on. Tensors
// saved by a unit's graph alias the gathered weights: after a release and another gather they must
// see the new memory, so the storage object stays and only its data pointer changes.
#ifndef TANREN_PARALLEL_ENGINE_REFILLABLE_BUFFER_H_
#define TANREN_PARALLEL_ENGINE_REFILLABLE_BUFFER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace tanren::parallel {

class RefillableBuffer {
 public:
  // Without memory at first.
  RefillableBuffer(int64_t numel, const at::TensorOptions& options);

  bool filled() const { return filled_; }
  // Takes memory from `memory` (of so many bytes, on the buffer's device), whose contents are
  // undefined. Nothing if it has some.
  using Memory = std::function<c10::DataPtr(int64_t bytes)>;
  void Take(const Memory& memory);
  // Gives the memory back, filled with NaN first if asked (for tests of who still reads it).
  void Free(bool fill_with_nan);
  // [numel], for writing into. Writes are unseen by autograd: views made by Alias have version
  // counters of their own, so that a refill isn't taken for a change of saved tensors.
  const at::Tensor& flat() const { return flat_; }
  // A leaf tensor over elements offset …, of `shape`.
  at::Tensor Alias(int64_t offset, const std::vector<int64_t>& shape) const;

 private:
  at::Tensor flat_;
  size_t bytes_ = 0;
  bool filled_ = false;
};

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_ENGINE_REFILLABLE_BUFFER_H_
