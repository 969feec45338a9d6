// The numbers that GGUF gives to types, for its reader and its writer.
#ifndef TANREN_RUNTIME_FORMATS_GGUF_TYPES_H_
#define TANREN_RUNTIME_FORMATS_GGUF_TYPES_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "runtime/formats/dtype.h"

namespace tanren::formats {

// Of metadata values.
enum GgufValueType : uint32_t {
  kGgufUint8 = 0,
  kGgufInt8 = 1,
  kGgufUint16 = 2,
  kGgufInt16 = 3,
  kGgufUint32 = 4,
  kGgufInt32 = 5,
  kGgufFloat32 = 6,
  kGgufBool = 7,
  kGgufString = 8,
  kGgufArray = 9,
  kGgufUint64 = 10,
  kGgufInt64 = 11,
  kGgufFloat64 = 12,
};

inline constexpr uint32_t kGgufMagic = 0x46554747;  // "GGUF"
inline constexpr uint32_t kGgufMaxDimensions = 4;   // as ggml has it
inline constexpr uint64_t kGgufDefaultAlignment = 32;

// Of a tensor's elements; kInvalidArgument for a type that isn't read, with its name in ggml.
absl::StatusOr<DType> DTypeOfGgml(uint32_t type);
// Nothing where ggml has no such type: U8, BOOL.
std::optional<uint32_t> GgmlTypeOf(DType dtype);

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_GGUF_TYPES_H_
