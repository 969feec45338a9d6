// Element types as kernels are asked for them, so that nvcc needn't see ATen.
#ifndef TANREN_RUNTIME_CUDA_ELEMENT_TYPE_H_
#define TANREN_RUNTIME_CUDA_ELEMENT_TYPE_H_

namespace tanren::cuda {

enum class ElementType { kFloat, kDouble, kHalf, kBFloat16 };

}  // namespace tanren::cuda

#endif  // TANREN_RUNTIME_CUDA_ELEMENT_TYPE_H_
