// From libtorch's types to those of the kernels.
#ifndef TANREN_RUNTIME_CUDA_ELEMENT_TYPE_OF_H_
#define TANREN_RUNTIME_CUDA_ELEMENT_TYPE_OF_H_

#include <c10/core/ScalarType.h>

#include <optional>

#include "runtime/cuda/element_type.h"

namespace tanren::cuda {

// None for what is no floating-point type of theirs.
inline std::optional<ElementType> ElementTypeOf(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return ElementType::kFloat;
    case at::kDouble:
      return ElementType::kDouble;
    case at::kHalf:
      return ElementType::kHalf;
    case at::kBFloat16:
      return ElementType::kBFloat16;
    default:
      return std::nullopt;
  }
}

}  // namespace tanren::cuda

#endif  // TANREN_RUNTIME_CUDA_ELEMENT_TYPE_OF_H_
