#include "runtime/formats/safetensors_writer.h"

#include <algorithm>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/formats/safetensors.h"
#include "tests/runtime/formats/golden.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::vector<std::string> NamesIn(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<TensorInfo> GoldenTensors(const nlohmann::json& golden) {
  std::vector<TensorInfo> tensors;
  for (const auto& [name, tensor] : golden.items()) {
    tensors.push_back({name, *DTypeFromName(tensor["dtype"].get<std::string>()),
                       tensor["shape"].get<std::vector<int64_t>>()});
  }
  return tensors;
}

TEST(SafetensorsWriter, WritesByteForByteWhatThePeerWrites) {
  const nlohmann::json golden = GoldenJson("written.json");
  const fs::path folder = EmptyFolder("out");
  const fs::path file = folder / "file.safetensors";
  auto writer = SafetensorsWriter::CreateFile(file, GoldenTensors(golden));
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const auto& [name, tensor] : golden.items()) {
    const std::vector<float> values = Floats(tensor["bits"]);
    const std::span<const float> all(values);
    // In pieces, the last one first.
    const size_t middle = values.size() / 3;
    const auto middle_begin = static_cast<int64_t>(middle);
    ASSERT_TRUE((*writer)->Write(name, middle_begin, all.subspan(middle)).ok());
    ASSERT_TRUE((*writer)->Write(name, 0, all.first(middle)).ok());
  }
  EXPECT_FALSE(fs::exists(file));
  ASSERT_TRUE((*writer)->Finish().ok());
  EXPECT_EQ(FileContent(file), FileContent(GoldenPath("written.safetensors")));
  EXPECT_THAT(NamesIn(folder), testing::ElementsAre("file.safetensors"));
}

TEST(SafetensorsWriter, AnIncompleteFileIsAbsent) {
  const fs::path folder = EmptyFolder("out");
  {
    auto writer = SafetensorsWriter::CreateFile(folder / "a", {{"w", DType::kF32, {10}}});
    ASSERT_TRUE(writer.ok()) << writer.status();
    const std::vector<float> values(4, 1.0f);
    ASSERT_TRUE((*writer)->Write("w", 0, values).ok());
    ASSERT_TRUE((*writer)->Write("w", 5, values).ok());
    const absl::Status status = (*writer)->Finish();
    EXPECT_TRUE(absl::IsFailedPrecondition(status));
    EXPECT_THAT(std::string(status.message()), HasSubstr("w: element 4 of 10"));
    EXPECT_FALSE(fs::exists(folder / "a"));
  }
  EXPECT_THAT(NamesIn(folder), testing::IsEmpty());
}

TEST(SafetensorsWriter, WritingTwiceOrOutsideIsAnError) {
  const fs::path folder = EmptyFolder("out");
  auto writer = SafetensorsWriter::CreateFile(folder / "a", {{"w", DType::kBF16, {10}}});
  ASSERT_TRUE(writer.ok()) << writer.status();
  const std::vector<float> values(4, 1.0f);
  ASSERT_TRUE((*writer)->Write("w", 3, values).ok());
  for (const int64_t begin : {0, 2, 3, 5, 6}) {
    EXPECT_TRUE(absl::IsInvalidArgument((*writer)->Write("w", begin, values))) << begin;
  }
  EXPECT_TRUE(absl::IsOutOfRange((*writer)->Write("w", 7, values)));
  EXPECT_TRUE(absl::IsOutOfRange((*writer)->Write("w", -1, values)));
  EXPECT_TRUE(absl::IsNotFound((*writer)->Write("v", 0, values)));
  ASSERT_TRUE((*writer)->Write("w", 0, std::span(values).first(3)).ok());
  ASSERT_TRUE((*writer)->Write("w", 7, std::span(values).first(3)).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  EXPECT_FALSE((*writer)->Write("w", 0, values).ok());
  EXPECT_FALSE((*writer)->Finish().ok());
  EXPECT_EQ((*OpenSafetensors(folder / "a"))->Read("w").value(), std::vector<float>(10, 1.0f));
}

TEST(SafetensorsWriter, RefusesWhatItCantWrite) {
  const fs::path file = EmptyFolder("out") / "a";
  EXPECT_FALSE(SafetensorsWriter::CreateFile(file, {{"w", DType::kI64, {1}}}).ok());
  EXPECT_FALSE(SafetensorsWriter::CreateFile(file, {{"w", DType::kQ8_0, {32}}}).ok());
  EXPECT_FALSE(SafetensorsWriter::CreateFile(file, {{"w", DType::kF32, {-1}}}).ok());
  EXPECT_FALSE(SafetensorsWriter::CreateFile(file, {{"\xff", DType::kF32, {1}}}).ok());
  EXPECT_FALSE(
      SafetensorsWriter::CreateFile(file, {{"w", DType::kF32, {1}}, {"w", DType::kF32, {1}}}).ok());
  EXPECT_FALSE(SafetensorsWriter::CreateFile("/no/such/folder/a", {{"w", DType::kF32, {1}}}).ok());
  // More than any disk has.
  EXPECT_FALSE(SafetensorsWriter::CreateFile(file, {{"w", DType::kF32, {int64_t{1} << 58}}}).ok());
  EXPECT_THAT(NamesIn(file.parent_path()), testing::IsEmpty());
}

TEST(SafetensorsWriter, ShardsStayBelowTheLimitAndHaveAnIndex) {
  const fs::path folder = EmptyFolder("out");
  const std::vector<TensorInfo> tensors = {{"a", DType::kF32, {10}},
                                           {"b", DType::kF16, {5, 2}},
                                           {"c", DType::kF32, {100}},
                                           {"d", DType::kBF16, {1}}};
  auto writer = SafetensorsWriter::CreateInDirectory(folder, tensors, 60);
  ASSERT_TRUE(writer.ok()) << writer.status();
  std::vector<std::thread> threads;
  for (const TensorInfo& tensor : tensors) {
    threads.emplace_back([&] {
      for (int64_t i = 0; i < tensor.numel(); ++i) {
        const auto value = static_cast<float>(i);
        EXPECT_TRUE((*writer)->Write(tensor.name, i, std::span(&value, 1)).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE((*writer)->Finish().ok());
  EXPECT_THAT(
      NamesIn(folder),
      testing::ElementsAre("model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                           "model-00003-of-00003.safetensors", "model.safetensors.index.json"));
  const auto index = nlohmann::json::parse(FileContent(folder / "model.safetensors.index.json"));
  EXPECT_EQ(index["metadata"]["total_size"], 462);
  EXPECT_EQ(index["weight_map"]["b"], "model-00001-of-00003.safetensors");
  const auto reader = OpenSafetensorsDirectory(folder);
  ASSERT_TRUE(reader.ok()) << reader.status();
  for (const TensorInfo& tensor : tensors) {
    EXPECT_EQ((*reader)->Find(tensor.name)->shape, tensor.shape);
    EXPECT_EQ((*reader)->Read(tensor.name)->back(), static_cast<float>(tensor.numel() - 1));
  }
  EXPECT_TRUE(
      absl::IsAlreadyExists(SafetensorsWriter::CreateInDirectory(folder, tensors).status()));
}

}  // namespace
}  // namespace tanren::formats
