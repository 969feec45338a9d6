#include "runtime/formats/safetensors.h"

#include <cstring>
#include <random>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/runtime/formats/golden.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

std::string File(std::string_view header, size_t data_bytes) {
  const uint64_t size = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &size, 8);
  return bytes + std::string(header) + std::string(data_bytes, '\1');
}

std::string ErrorOf(std::string_view bytes) {
  static const fs::path folder = EmptyFolder("bytes");
  const auto reader = OpenSafetensors(WriteFile(folder / "file.safetensors", bytes));
  EXPECT_FALSE(reader.ok()) << bytes;
  return std::string(reader.status().message());
}

TEST(Safetensors, TensorsOfEveryTypeAreReadAsThePeerReadsThem) {
  const auto reader = OpenSafetensors(GoldenPath("dtypes.safetensors"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  const nlohmann::json golden = GoldenJson("dtypes.json")["safetensors"];
  EXPECT_EQ((*reader)->tensors().size(), golden.size() + 6);  // and six of integers
  for (const auto& [name, expected] : golden.items()) {
    const TensorInfo* info = (*reader)->Find(name);
    ASSERT_NE(info, nullptr) << name;
    EXPECT_EQ(info->shape, expected["shape"].get<std::vector<int64_t>>());
    EXPECT_EQ(Bits(*(*reader)->Read(name)), Bits(expected["bits"])) << name;
  }
  EXPECT_EQ((*reader)->Find("bool")->dtype, DType::kBool);
  EXPECT_TRUE(absl::IsInvalidArgument((*reader)->Read("i64").status()));
}

TEST(Safetensors, AFileThatEndsTooEarlyIsAnErrorAtEveryByte) {
  const std::string bytes = FileContent(GoldenPath("dtypes.safetensors"));
  const fs::path file = WriteFile(EmptyFolder("cut") / "file.safetensors", bytes);
  for (size_t size = bytes.size(); size-- > 0;) {
    fs::resize_file(file, size);
    EXPECT_FALSE(OpenSafetensors(file).ok()) << size;
  }
  ErrorOf(bytes + "x");
}

TEST(Safetensors, ChangedBytesNeverReadBeyondTheFile) {
  const std::string bytes = FileContent(GoldenPath("dtypes.safetensors"));
  std::mt19937 random(6);
  const fs::path folder = EmptyFolder("changed");
  int opened = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string changed = bytes;
    changed[random() % 1200] = static_cast<char>(32 + random() % 90);
    const auto reader = OpenSafetensors(WriteFile(folder / "file", changed));
    if (!reader.ok()) continue;
    ++opened;
    for (const TensorInfo& info : (*reader)->tensors()) (void)(*reader)->Read(info.name);
  }
  EXPECT_GT(opened, 50);
}

// The file has as many bytes, though not on the disk.
TEST(Safetensors, AHeaderOfMoreThan100MbIsRefusedBeforeItIsRead) {
  const uint64_t size = 100'000'001;
  std::string begin(9, '{');
  std::memcpy(begin.data(), &size, 8);
  const fs::path file = WriteFile(EmptyFolder("huge") / "file.safetensors", begin);
  fs::resize_file(file, size + 8);
  EXPECT_THAT(OpenSafetensors(file).status().ToString(),
              AllOf(HasSubstr("100000001 bytes"), HasSubstr("100000000 are allowed")));
  fs::remove(file);
}

TEST(Safetensors, BadHeadersAreNamed) {
  std::string huge = File("{}", 0);
  std::memset(huge.data(), 0xff, 8);
  EXPECT_THAT(ErrorOf(huge), HasSubstr("header takes"));
  EXPECT_THAT(ErrorOf(File("", 0)), HasSubstr("parse error"));
  EXPECT_THAT(ErrorOf(File("[]", 0)), HasSubstr("found array, expected an object"));
  EXPECT_THAT(ErrorOf(File("{\"a\":", 0)), HasSubstr("parse error"));
  EXPECT_THAT(ErrorOf(File(std::string(5000, '['), 0)), HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOf(File(R"({"a":3})", 0)), HasSubstr("a: found number"));
  const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  EXPECT_THAT(ErrorOf(File("{" + a + "," + a + "}", 8)), HasSubstr("\"a\" is there twice"));
  EXPECT_THAT(
      ErrorOf(File(R"({"a":{"dtype":"F32","dtype":"F16","shape":[],"data_offsets":[0,4]}})", 4)),
      HasSubstr("\"dtype\" is there twice"));
}

TEST(Safetensors, BadEntriesAreNamed) {
  const auto error = [](std::string_view dtype, std::string_view shape, std::string_view offsets) {
    std::string header = R"({"a":{"dtype":")";
    header += std::string(dtype) + R"(","shape":)" + std::string(shape);
    return ErrorOf(File(header + R"(,"data_offsets":)" + std::string(offsets) + "}}", 8));
  };
  EXPECT_THAT(error("F8_E4M3", "[8]", "[0,8]"), HasSubstr("a: dtype: found \"F8_E4M3\""));
  EXPECT_THAT(error("Q4_1", "[8]", "[0,8]"), HasSubstr("dtype"));
  EXPECT_THAT(error("F32", "2", "[0,8]"), HasSubstr("shape"));
  EXPECT_THAT(error("F32", "null", "[0,8]"), HasSubstr("shape"));
  EXPECT_THAT(error("F32", "[-2]", "[0,8]"), HasSubstr("shape"));
  EXPECT_THAT(error("F32", "[2.0]", "[0,8]"), HasSubstr("shape"));
  EXPECT_THAT(error("F32", "[4611686018427387904,4]", "[0,8]"), HasSubstr("shape"));
  EXPECT_THAT(error("F32", "[18446744073709551615]", "[0,8]"), HasSubstr("shape"));
  EXPECT_THAT(error("F32", "[4611686018427387904]", "[0,8]"), HasSubstr("too many"));
  EXPECT_THAT(error("F32", "[3]", "[0,8]"), HasSubstr("found 8 bytes, expected 12"));
  EXPECT_THAT(error("F32", "[2]", "[8,0]"), HasSubstr("data_offsets"));
  EXPECT_THAT(error("F32", "[2]", "[0]"), HasSubstr("data_offsets"));
  EXPECT_THAT(error("F32", "[2]", "null"), HasSubstr("data_offsets"));
  EXPECT_THAT(error("F32", "[2]", "[4,12]"),
              HasSubstr("a begins at byte 4 of the data, expected 0, where the data do"));
  EXPECT_THAT(error("F32", "[1]", "[0,4]"),
              HasSubstr("take 4 bytes behind the header, but 8 are there, expected nothing"));
}

TEST(Safetensors, TensorsThatOverlapAreAnError) {
  EXPECT_THAT(ErrorOf(File(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                           R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                           12)),
              HasSubstr("a and b overlap: the second begins at byte 4 of the data, the first ends "
                        "at 8"));
}

TEST(Safetensors, AFileThatIsCutOffIsCalledThat) {
  const std::string whole = File(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8);
  EXPECT_THAT(
      ErrorOf(whole.substr(0, whole.size() - 3)),
      HasSubstr("take 8 bytes behind the header, but 5 are there: the file is cut off; copy"));
  EXPECT_THAT(ErrorOf(whole.substr(0, 30)), HasSubstr("22 are left, and 100000000 are allowed: the "
                                                      "file is cut off, or no safetensors"));
}

class ShardedDirectory : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = EmptyFolder("model");
    WriteFile(folder_ / "one.safetensors",
              File(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8));
    WriteFile(folder_ / "two.safetensors",
              File(R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  }
  absl::StatusOr<std::unique_ptr<WeightsReader>> Open(std::string_view index) {
    WriteFile(folder_ / "model.safetensors.index.json", index);
    return OpenSafetensorsDirectory(folder_);
  }
  fs::path folder_;
};

TEST_F(ShardedDirectory, JoinsTheTensorsOfItsFiles) {
  const auto reader = Open(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->tensors().size(), 2u);
  EXPECT_EQ((*reader)->Read("a")->size(), 2u);
  EXPECT_EQ((*reader)->Read("b")->size(), 1u);
}

TEST_F(ShardedDirectory, NamesWhatIsMissing) {
  const auto message = [&](std::string_view index) {
    return std::string(Open(index).status().message());
  };
  EXPECT_THAT(message(R"({"weight_map":{"a":"two.safetensors"}})"),
              HasSubstr("no tensor a in two.safetensors"));
  EXPECT_THAT(message(R"({"weight_map":{"a":"three.safetensors"}})"),
              AllOf(HasSubstr("model.safetensors.index.json: a file of weight_map: "),
                    HasSubstr("three.safetensors: can't open: No such file")));
  EXPECT_THAT(message(R"({"weight_map":{"a":"pytorch_model-00001-of-00002.bin"}})"),
              HasSubstr("pytorch_model-00001-of-00002.bin: found a pickle file"));
  EXPECT_THAT(message(R"({"weight_map":{"a":"../model/one.safetensors"}})"),
              HasSubstr("weight_map: a: found \"../model/one.safetensors\", expected the name of a "
                        "file beside the index"));
  for (const char* name : {R"("/etc/passwd")", R"("..")", R"("")", R"("a\u0000")", "7", "null"}) {
    EXPECT_THAT(message(fmt::format(R"({{"weight_map":{{"a":{}}}}})", name)),
                AllOf(HasSubstr(fmt::format("found {},", name)), HasSubstr("beside the index")));
  }
  EXPECT_THAT(message("{}"), HasSubstr("weight_map"));
  EXPECT_THAT(message("{"), HasSubstr("parse error"));
}

TEST_F(ShardedDirectory, WithoutWeightsIsNotFoundAndNamed) {
  const auto reader = OpenSafetensorsDirectory(folder_);
  EXPECT_TRUE(absl::IsNotFound(reader.status()));
  EXPECT_THAT(std::string(reader.status().message()), HasSubstr("model.safetensors"));
}

}  // namespace
}  // namespace tanren::formats
