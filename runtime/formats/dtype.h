// Element types of stored weights, and their conversion to and from fp32.
#ifndef TANREN_RUNTIME_FORMATS_DTYPE_H_
#define TANREN_RUNTIME_FORMATS_DTYPE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"

namespace tanren::formats {

// All little-endian. The quantised ones are ggml's: blocks of 32 elements along the last dimension,
// each with its own fp16 scale (and minimum, for Q4_1).
enum class DType {
  kF64,
  kF32,
  kF16,
  kBF16,
  kI64,
  kI32,
  kI16,
  kI8,
  kU8,
  kBool,
  kQ8_0,
  kQ4_0,
  kQ4_1
};

// "F32", "BOOL", "Q4_1": as safetensors and GGUF write them.
std::string_view Name(DType dtype);
std::optional<DType> DTypeFromName(std::string_view name);

// Elements and bytes of one block: 32 elements for the quantised types, else 1.
int64_t BlockElements(DType dtype);
int64_t BlockBytes(DType dtype);

// Whether DequantizeToFloat reads it: the floats and the quantised types, not the integers.
bool HasFloatValues(DType dtype);

// Bytes of `elements` elements; kInvalidArgument for a part of a block, or beyond 2^63 - 1.
absl::StatusOr<int64_t> BytesFor(DType dtype, int64_t elements);

// Writes elements begin … end-1 of the array that starts at bytes[0] to `values`, as fp32: exactly,
// but for F64, which is rounded. Throws Error where `bytes` is too short, `values` doesn't hold
// end - begin elements, or the dtype has no float values.
void DequantizeToFloat(DType dtype, std::span<const std::byte> bytes, int64_t begin, int64_t end,
                       std::span<float> values);

// Writes `values` as F32, F16 or BF16, rounded to nearest, ties to even; NaN stays NaN, what is too
// large becomes infinite. Or as Q8_0, as ggml's reference does: whole blocks of finite values.
// Throws Error for other dtypes, and unless `bytes` holds exactly them.
void ConvertFromFloat(DType dtype, std::span<const float> values, std::span<std::byte> bytes);

uint16_t FloatToBFloat16(float value);
uint16_t FloatToHalf(float value);
float BFloat16ToFloat(uint16_t bits);
float HalfToFloat(uint16_t bits);

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_DTYPE_H_
