#include "parallel/engine/refillable_buffer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "runtime/base/error.h"

namespace tanren::parallel {

RefillableBuffer::RefillableBuffer(int64_t numel, const at::TensorOptions& options)
    : flat_(at::empty({numel}, options)), bytes_(flat_.nbytes()), filled_(true) {
  Free(false);
}

void RefillableBuffer::Take(const Memory& memory) {
  if (filled_) return;
  c10::StorageImpl* storage = flat_.storage().unsafeGetStorageImpl();
  storage->set_data_ptr_noswap(memory(static_cast<int64_t>(bytes_)));
  storage->set_nbytes(bytes_);
  filled_ = true;
}

void RefillableBuffer::Free(bool fill_with_nan) {
  if (!filled_) return;
  if (fill_with_nan) flat_.fill_(std::numeric_limits<double>::quiet_NaN());
  c10::StorageImpl* storage = flat_.storage().unsafeGetStorageImpl();
  // An empty pointer of the right device.
  TANREN_CHECK(storage->allocator() != nullptr, "a storage without an allocator");
  storage->set_data_ptr_noswap(storage->allocator()->allocate(0));
  storage->set_nbytes(0);
  filled_ = false;
}

at::Tensor RefillableBuffer::Alias(int64_t offset, const std::vector<int64_t>& shape) const {
  const at::NoGradGuard no_grad;
  const int64_t numel = c10::multiply_integers(shape);
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) {
    strides[i - 1] = strides[i] * std::max<int64_t>(shape[i], 1);
  }
  TANREN_CHECK(offset >= 0 && offset + numel <= flat_.numel(), "elements {} + {} of {}", offset,
               numel, flat_.numel());
  // Neither by as_strided, whose views share flat_'s version counter, nor by set_, which would take
  // memory for a storage that has none.
  at::Tensor alias = at::detail::make_tensor<c10::TensorImpl>(c10::Storage(flat_.storage()),
                                                              flat_.key_set(), flat_.dtype());
  alias.unsafeGetTensorImpl()->set_sizes_and_strides(shape, strides);
  alias.unsafeGetTensorImpl()->set_storage_offset(offset);
  return alias;
}

}  // namespace tanren::parallel
