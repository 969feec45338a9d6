#include "runtime/formats/gguf_types.h"

#include <array>
#include <iterator>
#include <string>

#include "fmt/format.h"

namespace tanren::formats {
namespace {

struct Numbered {
  uint32_t type;
  DType dtype;
};

constexpr std::array kTypes = {
    Numbered{0, DType::kF32},  Numbered{1, DType::kF16},  Numbered{2, DType::kQ4_0},
    Numbered{3, DType::kQ4_1}, Numbered{8, DType::kQ8_0}, Numbered{24, DType::kI8},
    Numbered{25, DType::kI16}, Numbered{26, DType::kI32}, Numbered{27, DType::kI64},
    Numbered{28, DType::kF64}, Numbered{30, DType::kBF16}};

}  // namespace

absl::StatusOr<DType> DTypeOfGgml(uint32_t type) {
  for (const Numbered& known : kTypes) {
    if (known.type == type) return known.dtype;
  }
  constexpr const char* kOthers[] = {"F32",  "F16",  "Q4_0", "Q4_1", "Q4_2", "Q4_3",
                                     "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K",
                                     "Q4_K", "Q5_K", "Q6_K", "Q8_K"};
  const std::string found = type < std::size(kOthers)
                                ? fmt::format("type {} ({})", type, kOthers[type])
                                : fmt::format("type {}", type);
  return absl::InvalidArgumentError(fmt::format(
      "found {}, expected F64, F32, F16, BF16, Q8_0, Q4_0, Q4_1 or an integer type", found));
}

std::optional<uint32_t> GgmlTypeOf(DType dtype) {
  for (const Numbered& known : kTypes) {
    if (known.dtype == dtype) return known.type;
  }
  return std::nullopt;
}

}  // namespace tanren::formats
