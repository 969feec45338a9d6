#include "runtime/formats/dtype.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "runtime/base/error.h"

namespace tanren::formats {
namespace {

static_assert(std::endian::native == std::endian::little, "weights are read as they are stored");

struct Layout {
  DType dtype;
  std::string_view name;
  int64_t block_elements;
  int64_t block_bytes;
};

constexpr int64_t kBlock = 32;

constexpr std::array kLayouts = {
    Layout{DType::kF64, "F64", 1, 8},         Layout{DType::kF32, "F32", 1, 4},
    Layout{DType::kF16, "F16", 1, 2},         Layout{DType::kBF16, "BF16", 1, 2},
    Layout{DType::kI64, "I64", 1, 8},         Layout{DType::kI32, "I32", 1, 4},
    Layout{DType::kI16, "I16", 1, 2},         Layout{DType::kI8, "I8", 1, 1},
    Layout{DType::kU8, "U8", 1, 1},           Layout{DType::kBool, "BOOL", 1, 1},
    Layout{DType::kQ8_0, "Q8_0", kBlock, 34}, Layout{DType::kQ4_0, "Q4_0", kBlock, 18},
    Layout{DType::kQ4_1, "Q4_1", kBlock, 20},
};

const Layout& LayoutOf(DType dtype) {
  const auto index = static_cast<size_t>(dtype);
  TANREN_CHECK(index < kLayouts.size() && kLayouts[index].dtype == dtype, "dtype {}", index);
  return kLayouts[index];
}

template <typename T>
T Load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

float LoadHalf(const std::byte* bytes) { return HalfToFloat(Load<uint16_t>(bytes)); }

// A block holds its first 16 elements in the low halves of its bytes, the others in the high ones.
void DequantizeQ4(const std::byte* quants, float scale, float minimum, int offset, float* values) {
  for (int i = 0; i < kBlock / 2; ++i) {
    const auto pair = std::to_integer<int>(quants[i]);
    values[i] = scale * static_cast<float>((pair & 15) - offset) + minimum;
    values[i + kBlock / 2] = scale * static_cast<float>((pair >> 4) - offset) + minimum;
  }
}

void DequantizeBlock(DType dtype, const std::byte* block, float* values) {
  const float scale = LoadHalf(block);
  switch (dtype) {
    case DType::kQ4_0:
      // Adding -0 changes nothing, not even the sign of a zero.
      return DequantizeQ4(block + 2, scale, -0.0f, 8, values);
    case DType::kQ4_1:
      return DequantizeQ4(block + 4, scale, LoadHalf(block + 2), 0, values);
    default:
      for (int i = 0; i < kBlock; ++i) {
        values[i] = scale * static_cast<float>(Load<int8_t>(block + 2 + i));
      }
  }
}

// quantize_row_q8_0_ref of ggml-quants.c: the quants are of the scale before it is rounded to fp16.
void QuantizeQ8Block(const float* values, std::byte* block) {
  float largest = 0;
  for (int i = 0; i < kBlock; ++i) largest = std::max(largest, std::abs(values[i]));
  const float scale = largest / 127;
  // A scale of zero, or one whose inverse overflows: that is zero in fp16 too.
  const float inverse = std::isfinite(1 / scale) ? 1 / scale : 0;
  const uint16_t bits = FloatToHalf(scale);
  std::memcpy(block, &bits, 2);
  for (int i = 0; i < kBlock; ++i) {
    // Away from zero where it is a tie.
    block[2 + i] = static_cast<std::byte>(static_cast<int8_t>(std::round(values[i] * inverse)));
  }
}

void DequantizeBlocks(DType dtype, const std::byte* bytes, int64_t begin, int64_t end,
                      float* values) {
  const int64_t block_bytes = BlockBytes(dtype);
  while (begin < end) {
    const int64_t block = begin / kBlock;
    const int64_t skip = begin % kBlock;
    const int64_t count = std::min(kBlock - skip, end - begin);
    if (count == kBlock) {
      DequantizeBlock(dtype, bytes + block * block_bytes, values);
    } else {
      float whole[kBlock];
      DequantizeBlock(dtype, bytes + block * block_bytes, whole);
      std::copy_n(whole + skip, count, values);
    }
    begin += count;
    values += count;
  }
}

}  // namespace

std::string_view Name(DType dtype) { return LayoutOf(dtype).name; }

std::optional<DType> DTypeFromName(std::string_view name) {
  for (const Layout& layout : kLayouts) {
    if (layout.name == name) return layout.dtype;
  }
  return std::nullopt;
}

int64_t BlockElements(DType dtype) { return LayoutOf(dtype).block_elements; }
int64_t BlockBytes(DType dtype) { return LayoutOf(dtype).block_bytes; }

bool HasFloatValues(DType dtype) {
  return dtype <= DType::kBF16 || LayoutOf(dtype).block_elements > 1;
}

absl::StatusOr<int64_t> BytesFor(DType dtype, int64_t elements) {
  const Layout& layout = LayoutOf(dtype);
  if (elements < 0 || elements % layout.block_elements != 0) {
    return absl::InvalidArgumentError(fmt::format("{} elements of {} are not whole blocks of {}",
                                                  elements, layout.name, layout.block_elements));
  }
  int64_t bytes;
  if (__builtin_mul_overflow(elements / layout.block_elements, layout.block_bytes, &bytes)) {
    return absl::InvalidArgumentError(
        fmt::format("{} elements of {} are too many", elements, layout.name));
  }
  return bytes;
}

void DequantizeToFloat(DType dtype, std::span<const std::byte> bytes, int64_t begin, int64_t end,
                       std::span<float> values) {
  const Layout& layout = LayoutOf(dtype);
  TANREN_CHECK(begin >= 0 && begin <= end, "elements {} to {}", begin, end);
  TANREN_CHECK(static_cast<int64_t>(values.size()) == end - begin,
               "{} values for elements {} to {}", values.size(), begin, end);
  const auto blocks = static_cast<int64_t>(bytes.size()) / layout.block_bytes;
  TANREN_CHECK(end <= blocks * layout.block_elements, "element {} of {} bytes of {}", end,
               bytes.size(), layout.name);
  if (begin == end) return;
  const std::byte* first = bytes.data() + begin * layout.block_bytes;
  switch (dtype) {
    case DType::kF64:
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>(Load<double>(first + 8 * i));
      }
      return;
    case DType::kF32:
      std::memcpy(values.data(), first, values.size_bytes());
      return;
    case DType::kF16:
      for (size_t i = 0; i < values.size(); ++i) values[i] = LoadHalf(first + 2 * i);
      return;
    case DType::kBF16:
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = BFloat16ToFloat(Load<uint16_t>(first + 2 * i));
      }
      return;
    case DType::kQ8_0:
    case DType::kQ4_0:
    case DType::kQ4_1:
      return DequantizeBlocks(dtype, bytes.data(), begin, end, values.data());
    default:
      TANREN_CHECK(false, "{} has no float values", layout.name);
  }
}

void ConvertFromFloat(DType dtype, std::span<const float> values, std::span<std::byte> bytes) {
  TANREN_CHECK(dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16 ||
                   dtype == DType::kQ8_0,
               "can't write {}", Name(dtype));
  const int64_t expected = ValueOrThrow(BytesFor(dtype, static_cast<int64_t>(values.size())));
  TANREN_CHECK(static_cast<int64_t>(bytes.size()) == expected, "{} bytes for {} values of {}",
               bytes.size(), values.size(), Name(dtype));
  if (values.empty()) return;
  if (dtype == DType::kF32) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return;
  }
  if (dtype == DType::kQ8_0) {
    for (; !values.empty(); values = values.subspan(kBlock)) {
      QuantizeQ8Block(values.data(), bytes.data());
      bytes = bytes.subspan(static_cast<size_t>(BlockBytes(dtype)));
    }
    return;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t bits =
        dtype == DType::kF16 ? FloatToHalf(values[i]) : FloatToBFloat16(values[i]);
    std::memcpy(bytes.data() + 2 * i, &bits, 2);
  }
}

uint16_t FloatToBFloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  // Rounding could carry a NaN into infinity or zero, so it is only cut, and made quiet.
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

uint16_t FloatToHalf(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | (magnitude >> 13));
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // 65520 and more
  if (magnitude < 0x38800000u) {
    // Below 2^-14 halves are subnormal, 2^-24 apart: as floats are from 0.5 on, so this addition
    // rounds as wanted.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

float BFloat16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

float HalfToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00u) {  // infinity and NaN
    return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
  }
  // The exponents' biases differ by 112; the product is exact, subnormals included.
  const float value = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(value));
}

}  // namespace tanren::formats
