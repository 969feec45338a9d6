#include "trainer/data/jsonl_file.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/trainer/data/files.h"

namespace tanren::trainer {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

TEST(JsonlFile, BlankLinesMarkAndLineEndsAreNoRowsButCountAsLines) {
  const Folder folder;
  const std::string path =
      folder.Write("a.jsonl", "\xEF\xBB\xBF{\"a\":1}\r\n\n \t\r\n  {\"b\":2} \n3");
  const auto file = JsonlFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->row_count(), 3u);
  EXPECT_EQ(*file->Row(0), "{\"a\":1}");
  EXPECT_EQ(*file->Row(1), "{\"b\":2}");
  EXPECT_EQ(*file->Row(2), "3");
  EXPECT_THAT(file->Where(0), EndsWith("a.jsonl:1"));
  EXPECT_THAT(file->Where(1), EndsWith("a.jsonl:4"));
  EXPECT_THAT(file->Where(2), EndsWith("a.jsonl:5"));
}

TEST(JsonlFile, NothingButBlankLinesIsNoRow) {
  const Folder folder;
  for (const char* content : {"", "\n", "\xEF\xBB\xBF", " \n\t", "\r\n\r\n"}) {
    const auto file = JsonlFile::Open(folder.Write("a.jsonl", content));
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->row_count(), 0u);
  }
}

TEST(JsonlFile, AHugeLineIsAnErrorOfThatRowAlone) {
  const Folder folder;
  std::string content = "1\n";
  content.append(JsonlFile::kMaximumLineBytes + 1, 'x');
  const auto file = JsonlFile::Open(folder.Write("a.jsonl", content + "\n2\n"));
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->row_count(), 3u);
  EXPECT_EQ(*file->Row(0), "1");
  EXPECT_THAT(std::string(file->Row(1).status().message()), HasSubstr("a line of 67108865 bytes"));
  EXPECT_EQ(*file->Row(2), "2");
}

TEST(JsonlFile, AMissingFileIsNamed) {
  const auto file = JsonlFile::Open("/nowhere/a.jsonl");
  EXPECT_THAT(std::string(file.status().message()), HasSubstr("/nowhere/a.jsonl"));
}

}  // namespace
}  // namespace tanren::trainer
