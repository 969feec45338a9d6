#include "runtime/formats/dtype.h"

#include <bit>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "tests/runtime/formats/golden.h"

namespace tanren::formats {
namespace {

TEST(DType, RoundsToHalfAndBFloat16AsTorchDoes) {
  const nlohmann::json golden = GoldenJson("dtypes.json")["rounding"];
  const std::vector<float> values = Floats(golden["float"]);
  ASSERT_GT(values.size(), 3000u);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto half = golden["half"][i].get<uint16_t>();
    const auto bfloat16 = golden["bfloat16"][i].get<uint16_t>();
    if (values[i] != values[i]) {
      // Which NaN is nobody's promise.
      EXPECT_NE(HalfToFloat(FloatToHalf(values[i])), HalfToFloat(FloatToHalf(values[i])));
      EXPECT_NE(BFloat16ToFloat(FloatToBFloat16(values[i])),
                BFloat16ToFloat(FloatToBFloat16(values[i])));
      continue;
    }
    EXPECT_EQ(FloatToHalf(values[i]), half) << std::hex << golden["float"][i];
    EXPECT_EQ(FloatToBFloat16(values[i]), bfloat16) << std::hex << golden["float"][i];
  }
}

TEST(DType, EveryHalfSurvivesTheWayToFloatAndBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = HalfToFloat(half);
    if (value == value) {
      EXPECT_EQ(FloatToHalf(value), half);
    }
  }
}

TEST(DType, SizesThatAreNoSizesAreErrors) {
  EXPECT_EQ(*BytesFor(DType::kQ4_1, 64), 40);
  EXPECT_EQ(*BytesFor(DType::kF64, 3), 24);
  EXPECT_FALSE(BytesFor(DType::kQ8_0, 33).ok());
  EXPECT_FALSE(BytesFor(DType::kF32, -1).ok());
  EXPECT_FALSE(BytesFor(DType::kF64, int64_t{1} << 61).ok());
}

TEST(DType, ReadingBeyondTheBytesThrows) {
  const std::vector<std::byte> bytes(40);
  std::vector<float> values(64);
  DequantizeToFloat(DType::kQ4_1, bytes, 0, 64, values);
  EXPECT_THROW(DequantizeToFloat(DType::kQ4_1, bytes, 1, 65, values), Error);
  EXPECT_THROW(DequantizeToFloat(DType::kF32, bytes, 0, 11, std::span(values).first(11)), Error);
  EXPECT_THROW(DequantizeToFloat(DType::kF32, bytes, 0, 9, values), Error);
  EXPECT_THROW(DequantizeToFloat(DType::kI8, bytes, 0, 4, std::span(values).first(4)), Error);
}

}  // namespace
}  // namespace tanren::formats
