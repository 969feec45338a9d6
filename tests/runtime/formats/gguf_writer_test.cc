#include "runtime/formats/gguf_writer.h"

#include <sys/resource.h>

#include <bit>
#include <cmath>
#include <csignal>
#include <limits>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/formats/gguf.h"
#include "tests/runtime/formats/golden.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

// Of tests/golden/gguf_written.py.
fs::path WrittenPath(std::string_view name) { return fs::path("tests/golden/gguf") / name; }

GgufMetadata GoldenMetadata() {
  return {{"general.architecture", "test"},
          {"yes", true},
          {"no", false},
          {"uint32", uint32_t{4000000000}},
          {"int32", int32_t{-2000000000}},
          {"uint64", uint64_t{1} << 62},
          {"int64", -(int64_t{1} << 62)},
          {"float32", 1e-5f},
          {"float64", 1e-5},
          {"text", "字 and a \"quote\""},
          {"integers", std::vector<int32_t>{1, -2, 3}},
          {"floats", std::vector<float>{0.5f, -2.0f}},
          {"strings", std::vector<std::string>{"a", "", "日本"}}};
}

std::vector<TensorInfo> GoldenTensors(const nlohmann::json& golden) {
  std::vector<TensorInfo> tensors;
  for (const nlohmann::json& tensor : golden) {
    tensors.push_back({tensor["name"], *DTypeFromName(tensor["dtype"].get<std::string>()),
                       tensor["shape"].get<std::vector<int64_t>>()});
  }
  return tensors;
}

// The error of writing `values`, or of creating the file. Nothing is left behind.
std::string ErrorOf(const GgufMetadata& metadata, const std::vector<TensorInfo>& tensors,
                    const std::vector<float>& values = {}) {
  const fs::path folder = EmptyFolder("out");
  absl::Status status;
  {
    const auto writer = GgufWriter::Create(folder / "a.gguf", metadata, tensors);
    status = writer.ok() ? (*writer)->Write(tensors[0].name, 0, values) : writer.status();
  }
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(fs::is_empty(folder));
  return std::string(status.message());
}

TEST(GgufWriter, WritesByteForByteWhatThePeerWrites) {
  const nlohmann::json golden = nlohmann::json::parse(FileContent(WrittenPath("written.json")));
  const fs::path folder = EmptyFolder("out");
  const fs::path file = folder / "file.gguf";
  auto writer = GgufWriter::Create(file, GoldenMetadata(), GoldenTensors(golden));
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const nlohmann::json& tensor : golden) {
    const std::vector<float> values = Floats(tensor["bits"]);
    const std::span<const float> all(values);
    // In pieces, the last one first.
    const size_t middle = values.size() / 64 * 32;
    ASSERT_TRUE((*writer)
                    ->Write(tensor["name"].get<std::string>(), static_cast<int64_t>(middle),
                            all.subspan(middle))
                    .ok());
    ASSERT_TRUE((*writer)->Write(tensor["name"].get<std::string>(), 0, all.first(middle)).ok());
  }
  EXPECT_FALSE(fs::exists(file));
  ASSERT_TRUE((*writer)->Finish().ok());
  EXPECT_EQ(FileContent(file), FileContent(WrittenPath("written.gguf")));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
}

TEST(GgufWriter, OurReaderReadsWhatWasWritten) {
  const fs::path file = EmptyFolder("out") / "file.gguf";
  const std::vector<TensorInfo> tensors = {{"f32", DType::kF32, {3, 5}},
                                           {"f16", DType::kF16, {3, 5}},
                                           {"bf16", DType::kBF16, {15}},
                                           {"q8_0", DType::kQ8_0, {3, 32}}};
  auto writer = GgufWriter::Create(file, GoldenMetadata(), tensors);
  ASSERT_TRUE(writer.ok()) << writer.status();
  // Multiples of 1/4 up to 24: all types hold them, Q8_0 with a scale of 1/4 for each row.
  const auto value_at = [](int64_t i) {
    return i % 32 == 31 ? 31.75f : static_cast<float>(i % 97 - 48) / 4;
  };
  std::vector<std::thread> threads;
  for (const TensorInfo& tensor : tensors) {
    threads.emplace_back([&] {
      std::vector<float> values;
      for (int64_t i = 0; i < tensor.numel(); ++i) values.push_back(value_at(i));
      EXPECT_TRUE((*writer)->Write(tensor.name, 0, values).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE((*writer)->Finish().ok());
  const auto gguf = Gguf::Open(file);
  ASSERT_TRUE(gguf.ok()) << gguf.status();
  for (const TensorInfo& tensor : tensors) {
    ASSERT_NE((*gguf)->Find(tensor.name), nullptr);
    EXPECT_EQ((*gguf)->Find(tensor.name)->dtype, tensor.dtype);
    EXPECT_EQ((*gguf)->Find(tensor.name)->shape, tensor.shape);
    const std::vector<float> values = *(*gguf)->Read(tensor.name);
    for (int64_t i = 0; i < tensor.numel(); ++i) {
      EXPECT_EQ(values[static_cast<size_t>(i)], value_at(i)) << tensor.name << " " << i;
    }
  }
  EXPECT_EQ((*gguf)->metadata().size(), GoldenMetadata().size());
  EXPECT_EQ(**(*gguf)->FindStrings("strings"), (std::vector<std::string>{"a", "", "日本"}));
  EXPECT_EQ(*(*gguf)->FindNumber("float32"), 1e-5);
}

TEST(GgufWriter, AnIncompleteFileIsAbsentAndTheOldOneStays) {
  const fs::path folder = EmptyFolder("out");
  const fs::path file = WriteFile(folder / "a.gguf", "old");
  {
    auto writer = GgufWriter::Create(file, {}, {{"w", DType::kQ8_0, {96}}});
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE((*writer)->Write("w", 64, std::vector<float>(32)).ok());
    ASSERT_TRUE((*writer)->Write("w", 0, std::vector<float>(32)).ok());
    const absl::Status status = (*writer)->Finish();
    EXPECT_TRUE(absl::IsFailedPrecondition(status));
    EXPECT_THAT(std::string(status.message()), HasSubstr("w: element 32 of 96"));
  }
  EXPECT_EQ(FileContent(file), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
}

TEST(GgufWriter, RangesAreWholeBlocksInsideTheTensorAndWrittenOnce) {
  const fs::path folder = EmptyFolder("out");
  auto writer = GgufWriter::Create(folder / "a.gguf", {}, {{"w", DType::kQ8_0, {2, 32}}});
  ASSERT_TRUE(writer.ok()) << writer.status();
  const std::vector<float> values(64, 1.0f);
  const auto write = [&](int64_t begin, size_t count) {
    return (*writer)->Write("w", begin, std::span(values).first(count));
  };
  EXPECT_THAT(std::string(write(16, 32).message()),
              AllOf(HasSubstr("a.gguf: w: "), HasSubstr("not whole blocks of 32")));
  EXPECT_TRUE(absl::IsInvalidArgument(write(0, 31)));
  EXPECT_TRUE(absl::IsOutOfRange(write(32, 64)));
  EXPECT_TRUE(absl::IsNotFound((*writer)->Write("v", 0, values)));
  ASSERT_TRUE(write(32, 32).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(write(32, 32)));
  ASSERT_TRUE(write(0, 32).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  EXPECT_FALSE((*writer)->Finish().ok());
}

TEST(GgufWriter, ValuesThatATypeCantHoldAreNamed) {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto error = [](DType dtype, float value) {
    std::vector<float> values(32, 1.0f);
    values[5] = value;
    return ErrorOf({}, {{"blk.0.w", dtype, {32}}}, values);
  };
  EXPECT_THAT(error(DType::kF16, 65520.0f),
              AllOf(HasSubstr("a.gguf: blk.0.w: element 5 is 65520"), HasSubstr("F16")));
  EXPECT_THAT(error(DType::kBF16, std::numeric_limits<float>::max()), HasSubstr("BF16"));
  EXPECT_THAT(error(DType::kQ8_0, -8.33e6f), HasSubstr("element 5 is -8330000, which Q8_0"));
  EXPECT_THAT(error(DType::kQ8_0, std::nanf("")), HasSubstr("element 5 is nan"));
  EXPECT_THAT(error(DType::kQ8_0, infinity), HasSubstr("element 5 is inf"));
}

TEST(GgufWriter, LimitsAreTheTypesOwn) {
  const fs::path file = EmptyFolder("out") / "a.gguf";
  const float bfloat = std::bit_cast<float>(0x7f7f7fffu);
  auto writer = GgufWriter::Create(
      file, {},
      {{"f16", DType::kF16, {4}}, {"bf16", DType::kBF16, {1}}, {"q", DType::kQ8_0, {32}}});
  ASSERT_TRUE(writer.ok()) << writer.status();
  const float infinity = std::numeric_limits<float>::infinity();
  const float below = std::nextafter(65520.0f, 0.0f);
  ASSERT_TRUE((*writer)->Write("f16", 0, std::vector<float>{below, -below, infinity, 0}).ok());
  ASSERT_TRUE((*writer)->Write("bf16", 0, std::span(&bfloat, 1)).ok());
  ASSERT_TRUE((*writer)->Write("q", 0, std::vector<float>(32, -127 * 65504.0f)).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  const auto gguf = Gguf::Open(file);
  ASSERT_TRUE(gguf.ok()) << gguf.status();
  EXPECT_EQ(*(*gguf)->Read("f16"), (std::vector<float>{65504, -65504, infinity, 0}));
  EXPECT_EQ((*gguf)->Read("bf16")->front(), std::bit_cast<float>(0x7f7f0000u));
  EXPECT_EQ((*gguf)->Read("q")->front(), -127 * 65504.0f);
}

TEST(GgufWriter, RefusesWhatLlamaCppDoesntRead) {
  const GgufMetadata none;
  const auto tensor = [&](TensorInfo info) { return ErrorOf(none, {std::move(info)}); };
  EXPECT_THAT(tensor({"w", DType::kI32, {1}}), HasSubstr("w: found I32, expected F32, F16"));
  EXPECT_THAT(tensor({"w", DType::kQ4_0, {32}}), HasSubstr("w: found Q4_0"));
  EXPECT_THAT(tensor({"w", DType::kQ8_0, {32, 33}}), HasSubstr("w: 33 elements in a row of Q8_0"));
  EXPECT_THAT(tensor({"w", DType::kF32, {}}), HasSubstr("w: found 0 dimensions"));
  EXPECT_THAT(tensor({"w", DType::kF32, {1, 1, 1, 1, 1}}), HasSubstr("w: found 5 dimensions"));
  EXPECT_THAT(tensor({"w", DType::kF32, {-1}}), HasSubstr("w: the shape [-1]"));
  EXPECT_THAT(tensor({"w", DType::kF32, {int64_t{1} << 61}}), HasSubstr("w: "));
  EXPECT_THAT(tensor({std::string(64, 'x'), DType::kF32, {1}}), HasSubstr("64 bytes"));
  EXPECT_THAT(tensor({"", DType::kF32, {1}}), HasSubstr("0 bytes"));
  EXPECT_THAT(ErrorOf(none, {{"w", DType::kF32, {1}}, {"w", DType::kF32, {1}}}),
              AllOf(HasSubstr("a.gguf: "), HasSubstr("tensor w is there twice")));
  const int64_t half = int64_t{1} << 60;
  EXPECT_THAT(ErrorOf(none, {{"a", DType::kF32, {half}}, {"b", DType::kF32, {half}}}),
              HasSubstr("too many bytes"));
  EXPECT_THAT(ErrorOf({{"k", true}, {"k", 1.0f}}, {}), HasSubstr("key k is there twice"));
  EXPECT_THAT(ErrorOf({{"general.alignment", uint32_t{64}}}, {}), HasSubstr("alignment"));
  EXPECT_THAT(ErrorOf({{"", true}}, {}), HasSubstr("0 bytes"));
}

TEST(GgufWriter, AFolderOfTheNameIsKept) {
  const fs::path folder = EmptyFolder("out");
  fs::create_directory(folder / "a.gguf");
  const auto writer = GgufWriter::Create(folder / "a.gguf", {}, {});
  EXPECT_TRUE(absl::IsAlreadyExists(writer.status())) << writer.status();
  EXPECT_TRUE(fs::is_directory(folder / "a.gguf"));
}

// Files longer than this fail to be written, as on a full disk, while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST(GgufWriter, AWriteThatFailsNamesTheTensorAndLeavesNothing) {
  const fs::path folder = EmptyFolder("out");
  {
    auto writer = GgufWriter::Create(folder / "a.gguf", {}, {{"w", DType::kF32, {4096}}});
    ASSERT_TRUE(writer.ok()) << writer.status();
    absl::Status status;
    {
      const FileSizeLimit limit(8192);
      status = (*writer)->Write("w", 0, std::vector<float>(4096, 1.0f));
    }
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("a.gguf"), HasSubstr("w: "), HasSubstr("can't write")));
    EXPECT_TRUE(absl::IsFailedPrecondition((*writer)->Finish()));
  }
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST(GgufWriter, ADiskWithoutEnoughSpaceShowsAtOnce) {
  const fs::path folder = EmptyFolder("out");
  const FileSizeLimit limit(8192);
  const auto writer = GgufWriter::Create(folder / "a.gguf", {}, {{"w", DType::kF32, {4096}}});
  EXPECT_FALSE(writer.ok());
  EXPECT_THAT(std::string(writer.status().message()), HasSubstr("can't take space on disk"));
  EXPECT_TRUE(fs::is_empty(folder));
}

}  // namespace
}  // namespace tanren::formats
