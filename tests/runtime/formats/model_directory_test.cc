#include "runtime/formats/model_directory.h"

#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/formats/model_files.h"
#include "tests/runtime/formats/golden.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Writes the golden model with `texts` to `target`; its config is the model's own.
absl::Status WriteGolden(const fs::path& target, ModelTexts texts, float added = 0.0f) {
  const auto source = ModelFiles::Open(GoldenPath("llama"));
  if (!source.ok()) return source.status();
  texts.config_json = ToJson(source->config());
  auto writer = ModelDirectoryWriter::Create(target, texts,
                                             ModelTensors(source->config(), DType::kF32), 30000);
  if (!writer.ok()) return writer.status();
  for (const TensorInfo& tensor : source->weights().tensors()) {
    std::vector<float> values = *source->weights().Read(tensor.name);
    for (float& value : values) value += added;
    if (absl::Status status = (*writer)->Write(tensor.name, 0, values); !status.ok()) return status;
  }
  return (*writer)->Finish();
}

int64_t NamesIn(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

TEST(ModelDirectory, WhatIsWrittenOpensAsTheSameModel) {
  const fs::path folder = EmptyFolder("out");
  ModelTexts texts;
  texts.tokenizer_json = "{\"version\": \"1.0\"}";
  texts.generation_config_json = "{}";
  texts.tokenizer_config_json = "{\"a\": 1}";
  texts.chat_template = "{{ x }}";
  ASSERT_TRUE(WriteGolden(folder / "model/", texts).ok());
  EXPECT_EQ(NamesIn(folder), 1);
  const auto source = ModelFiles::Open(GoldenPath("llama"));
  const auto files = ModelFiles::Open(folder / "model");
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(ToJson(files->config()), ToJson(source->config()));
  EXPECT_EQ(files->tokenizer_json(), texts.tokenizer_json);
  EXPECT_EQ(files->tokenizer_config_json(), texts.tokenizer_config_json);
  EXPECT_EQ(files->generation_config_json(), texts.generation_config_json);
  EXPECT_EQ(files->chat_template(), texts.chat_template);
  for (const TensorInfo& tensor : source->weights().tensors()) {
    EXPECT_EQ(*files->weights().Read(tensor.name), *source->weights().Read(tensor.name));
  }
  // For tests/golden/formats_check.py.
  if (const char* keep = std::getenv("TANREN_KEEP")) {
    fs::copy(folder / "model", keep, fs::copy_options::recursive);
  }
}

TEST(ModelDirectory, AModelIsReplacedAsAWhole) {
  const fs::path folder = EmptyFolder("out");
  ModelTexts texts;
  texts.tokenizer_json = "{}";
  ASSERT_TRUE(WriteGolden(folder / "model", texts).ok());
  ASSERT_TRUE(WriteGolden(folder / "model", ModelTexts(), 1.0f).ok());
  EXPECT_EQ(NamesIn(folder), 1);
  const auto files = ModelFiles::Open(folder / "model");
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->tokenizer_json(), std::nullopt);
  EXPECT_EQ(files->weights().Read("model.norm.weight")->front(), 2.0f);
}

TEST(ModelDirectory, UnfinishedItLeavesTheOldModelAndNothingElse) {
  const fs::path folder = EmptyFolder("out");
  ASSERT_TRUE(WriteGolden(folder / "model", ModelTexts()).ok());
  {
    auto writer =
        ModelDirectoryWriter::Create(folder / "model", ModelTexts(), {{"w", DType::kF32, {2}}});
    ASSERT_TRUE(writer.ok()) << writer.status();
    EXPECT_TRUE(absl::IsFailedPrecondition((*writer)->Finish()));
  }
  EXPECT_EQ(NamesIn(folder), 1);
  EXPECT_TRUE(ModelFiles::Open(folder / "model").ok());
}

TEST(ModelDirectory, WhatIsNoModelIsKept) {
  const fs::path folder = EmptyFolder("out");
  fs::create_directories(folder / "work");
  WriteFile(folder / "work" / "notes.txt", "mine");
  WriteFile(folder / "file", "mine");
  const absl::Status status = WriteGolden(folder / "work", ModelTexts());
  EXPECT_TRUE(absl::IsAlreadyExists(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("notes.txt"));
  EXPECT_TRUE(absl::IsAlreadyExists(WriteGolden(folder / "file", ModelTexts())));
  EXPECT_EQ(FileContent(folder / "work" / "notes.txt"), "mine");
  EXPECT_EQ(FileContent(folder / "file"), "mine");
  EXPECT_EQ(NamesIn(folder), 2);
}

}  // namespace
}  // namespace tanren::formats
