#include "runtime/formats/gguf.h"

#include <cstring>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/runtime/formats/golden.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

template <typename T>
std::string Raw(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}
std::string Text(std::string_view text) { return Raw<uint64_t>(text.size()) + std::string(text); }

std::string Header(uint32_t version, uint64_t tensors, uint64_t values) {
  return "GGUF" + Raw(version) + Raw(tensors) + Raw(values);
}
std::string Tensor(std::string_view name, std::vector<uint64_t> dimensions, uint32_t type,
                   uint64_t offset) {
  std::string bytes = Text(name) + Raw(static_cast<uint32_t>(dimensions.size()));
  for (const uint64_t dimension : dimensions) bytes += Raw(dimension);
  return bytes + Raw(type) + Raw(offset);
}
std::string WithData(std::string head, size_t bytes) {
  head.resize((head.size() + 31) / 32 * 32);
  return head + std::string(bytes, '\1');
}

absl::Status OpenBytes(std::string_view bytes) {
  static const fs::path folder = EmptyFolder("bytes");
  return Gguf::Open(WriteFile(folder / "file.gguf", bytes)).status();
}
std::string ErrorOf(std::string_view bytes) { return std::string(OpenBytes(bytes).message()); }

TEST(Gguf, TensorsOfEveryTypeAreReadAsThePeerReadsThem) {
  const auto gguf = Gguf::Open(GoldenPath("dtypes.gguf"));
  ASSERT_TRUE(gguf.ok()) << gguf.status();
  const nlohmann::json golden = GoldenJson("dtypes.json")["gguf"];
  EXPECT_EQ(golden.size() + 1, (*gguf)->tensors().size());
  for (const auto& [name, expected] : golden.items()) {
    const TensorInfo* info = (*gguf)->Find(name);
    ASSERT_NE(info, nullptr) << name;
    EXPECT_EQ(Name(info->dtype), name);
    EXPECT_EQ(info->shape, expected["shape"].get<std::vector<int64_t>>());
    EXPECT_EQ(Bits(*(*gguf)->Read(name)), Bits(expected["bits"])) << name;
  }
  EXPECT_EQ((*gguf)->Find("I32")->dtype, DType::kI32);
  EXPECT_FALSE((*gguf)->Read("I32").ok());
}

TEST(Gguf, AnyRangeIsThatPartOfTheWhole) {
  const auto gguf = Gguf::Open(GoldenPath("dtypes.gguf"));
  ASSERT_TRUE(gguf.ok()) << gguf.status();
  for (const char* name : {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"}) {
    const std::vector<float> whole = *(*gguf)->Read(name);
    for (int64_t begin = 0; begin <= 288; begin += 7) {
      for (int64_t end = begin; end <= 288; end += 31) {
        std::vector<float> part(static_cast<size_t>(end - begin));
        ASSERT_TRUE((*gguf)->Read(name, begin, end, part).ok());
        EXPECT_EQ(part, std::vector<float>(whole.begin() + begin, whole.begin() + end));
      }
    }
    std::vector<float> part(2);
    EXPECT_TRUE(absl::IsOutOfRange((*gguf)->Read(name, 287, 289, part)));
    EXPECT_TRUE(absl::IsOutOfRange((*gguf)->Read(name, -1, 1, part)));
    EXPECT_TRUE(absl::IsOutOfRange((*gguf)->Read(name, 0, 1, part)));
  }
  EXPECT_TRUE(absl::IsNotFound((*gguf)->Read("none").status()));
}

TEST(Gguf, MetadataKeepsItsTypes) {
  const auto opened = Gguf::Open(GoldenPath("dtypes.gguf"));
  ASSERT_TRUE(opened.ok()) << opened.status();
  const Gguf& gguf = **opened;
  EXPECT_EQ(gguf.FindString("text")->value(), "字 and a \"quote\"");
  EXPECT_EQ(gguf.FindInt("uint8")->value(), 200);
  EXPECT_EQ(gguf.FindInt("int8")->value(), -100);
  EXPECT_EQ(gguf.FindInt("uint16")->value(), 60000);
  EXPECT_EQ(gguf.FindInt("int16")->value(), -30000);
  EXPECT_EQ(gguf.FindInt("uint32")->value(), 4000000000);
  EXPECT_EQ(gguf.FindInt("int32")->value(), -2000000000);
  EXPECT_EQ(gguf.FindInt("uint64")->value(), int64_t{1} << 62);
  EXPECT_EQ(gguf.FindInt("int64")->value(), -(int64_t{1} << 62));
  EXPECT_EQ(gguf.FindNumber("float32")->value(), 1e-5);
  EXPECT_EQ(gguf.FindNumber("float64")->value(), 1e-5);
  EXPECT_EQ(gguf.FindNumber("uint8")->value(), 200);
  EXPECT_EQ(gguf.FindBool("bool")->value(), true);
  EXPECT_EQ(**gguf.FindStrings("strings"), (std::vector<std::string>{"a", "", "日本"}));
  EXPECT_EQ(**gguf.FindInts("integers"), (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ(std::get<std::vector<double>>(gguf.metadata().find("floats")->second),
            (std::vector<double>{0.5, -2.0}));
  EXPECT_EQ(*gguf.FindInt("absent"), std::nullopt);
  EXPECT_EQ(*gguf.FindStrings("absent"), nullptr);
  EXPECT_THAT(std::string(gguf.FindInt("text").status().message()),
              testing::AllOf(HasSubstr("text"), HasSubstr("an integer"), HasSubstr("dtypes.gguf")));
}

TEST(Gguf, VersionTwoIsReadToo) {
  std::string bytes = FileContent(GoldenPath("dtypes.gguf"));
  bytes[4] = 2;
  EXPECT_TRUE(OpenBytes(bytes).ok());
  bytes[4] = 1;
  EXPECT_THAT(ErrorOf(bytes), HasSubstr("found GGUF version 1, expected 2 or 3"));
  EXPECT_THAT(ErrorOf("GGUF" + Raw<uint32_t>(0x03000000)), HasSubstr("big-endian"));
  EXPECT_THAT(ErrorOf("tanren"), HasSubstr("file.gguf: this is no GGUF file"));
  EXPECT_THAT(ErrorOf("PK\3\4 and more"), HasSubstr("file.gguf: found a pickle file"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("no GGUF"));
}

TEST(Gguf, AFileThatEndsTooEarlyIsAnErrorAtEveryByte) {
  const std::string bytes = FileContent(GoldenPath("dtypes.gguf"));
  const fs::path file = WriteFile(EmptyFolder("cut") / "file.gguf", bytes);
  for (size_t size = bytes.size() - 32; size-- > 0;) {  // the last tensor's padding may be absent
    fs::resize_file(file, size);
    EXPECT_FALSE(Gguf::Open(file).ok()) << size;
  }
}

TEST(Gguf, ChangedBytesNeverReadBeyondTheFile) {
  const std::string bytes = FileContent(GoldenPath("dtypes.gguf"));
  std::mt19937 random(5);
  const fs::path folder = EmptyFolder("changed");
  int opened = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string changed = bytes;
    for (int j = 0; j < 1 + i % 3; ++j) changed[random() % 1400] = static_cast<char>(random());
    const fs::path file = WriteFile(folder / "file.gguf", changed);
    const auto gguf = Gguf::Open(file);
    if (!gguf.ok()) continue;
    ++opened;
    for (const TensorInfo& info : (*gguf)->tensors()) (void)(*gguf)->Read(info.name);
  }
  EXPECT_GT(opened, 50);
}

TEST(Gguf, CountsAreNotBelievedBeyondTheFile) {
  const uint64_t huge = ~uint64_t{0};
  EXPECT_THAT(ErrorOf(Header(3, huge, 0)), HasSubstr("tensors"));
  EXPECT_THAT(ErrorOf(Header(3, 0, huge)), HasSubstr("metadata values"));
  EXPECT_THAT(ErrorOf(Header(3, 0, 1) + Raw(huge) + std::string(20, 'x')),
              HasSubstr("a metadata key"));
  EXPECT_THAT(ErrorOf(Header(3, 0, 1) + Text("k") + Raw<uint32_t>(8) + Raw(huge)), HasSubstr("k"));
  EXPECT_THAT(
      ErrorOf(Header(3, 0, 1) + Text("k") + Raw<uint32_t>(9) + Raw<uint32_t>(0) + Raw(huge >> 1)),
      HasSubstr("k: 9223372036854775807 are announced"));
}

TEST(Gguf, WrongValuesAreNamed) {
  const std::string value = Text("k") + Raw<uint32_t>(4) + Raw<uint32_t>(1);
  EXPECT_THAT(ErrorOf(Header(3, 0, 2) + value + value), HasSubstr("key k is there twice"));
  EXPECT_THAT(ErrorOf(Header(3, 0, 1) + Text("k") + Raw<uint32_t>(13) + Raw<uint64_t>(0)),
              HasSubstr("no value type 13"));
  EXPECT_THAT(
      ErrorOf(Header(3, 0, 1) + Text("k") + Raw<uint32_t>(9) + Raw<uint32_t>(9) + Raw<uint64_t>(0)),
      HasSubstr("elements of type 9"));
  for (const uint32_t alignment : {0u, 24u, 1u << 31}) {
    EXPECT_THAT(
        ErrorOf(Header(3, 0, 1) + Text("general.alignment") + Raw<uint32_t>(4) + Raw(alignment)),
        HasSubstr("power of two"));
  }
}

TEST(Gguf, WrongTensorsAreNamed) {
  const std::string one = Header(3, 1, 0);
  EXPECT_TRUE(OpenBytes(WithData(one + Tensor("a", {8}, 0, 0), 32)).ok());
  EXPECT_THAT(ErrorOf(WithData(one + Tensor("a", {9}, 0, 0), 32)), HasSubstr("a: its 36 bytes"));
  EXPECT_THAT(
      ErrorOf(WithData(one + Tensor("a", {8}, 0, 32), 32)),
      HasSubstr("offset 32 do not lie in the 32 bytes of data; where the file is cut off, copy"));
  EXPECT_THAT(ErrorOf(WithData(one + Tensor("a", {4}, 0, 16), 32)), HasSubstr("not aligned"));
  EXPECT_THAT(ErrorOf(WithData(one + Tensor("a", {8}, 0, ~uint64_t{31}), 32)), HasSubstr("offset"));
  EXPECT_THAT(ErrorOf(WithData(one + Tensor("a", {48}, 2, 0), 32)), HasSubstr("whole blocks"));
  EXPECT_THAT(ErrorOf(WithData(one + Tensor("a", {256}, 14, 0), 210)), HasSubstr("14 (Q6_K)"));
  EXPECT_THAT(ErrorOf(WithData(one + Tensor("a", {}, 0, 0), 32)), HasSubstr("0 dimensions"));
  EXPECT_THAT(ErrorOf(WithData(one + Tensor("a", {1, 1, 1, 1, 1}, 0, 0), 32)),
              HasSubstr("5 dimensions"));
  EXPECT_THAT(
      ErrorOf(WithData(one + Tensor("a", {uint64_t{1} << 32, uint64_t{1} << 32}, 0, 0), 32)),
      HasSubstr("no sensible number"));
  EXPECT_THAT(ErrorOf(WithData(one + Tensor("a", {uint64_t{1} << 62}, 0, 0), 32)),
              HasSubstr("too many"));
  const std::string two = Header(3, 2, 0);
  EXPECT_THAT(ErrorOf(WithData(two + Tensor("a", {8}, 0, 0) + Tensor("a", {8}, 0, 32), 64)),
              HasSubstr("a is there twice"));
  EXPECT_THAT(ErrorOf(WithData(two + Tensor("a", {9}, 0, 0) + Tensor("b", {8}, 0, 32), 64)),
              HasSubstr("a and b overlap"));
}

}  // namespace
}  // namespace tanren::formats
