#include "runtime/base/file.h"

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tanren {
namespace {

namespace fs = std::filesystem;

TEST(File, AtomicWriteReplacesTheContentAndLeavesNoOtherName) {
  const fs::path folder = fs::path(testing::TempDir()) / "atomic_write";
  fs::remove_all(folder);
  ASSERT_TRUE(MakeDirectories(folder / "deep").ok());
  const fs::path file = folder / "deep" / "a.txt";
  ASSERT_TRUE(WriteFileAtomically(file, "first, longer").ok());
  ASSERT_TRUE(WriteFileAtomically(file, "second").ok());
  EXPECT_EQ(*ReadFile(file), "second");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "deep"), fs::directory_iterator()), 1);
}

TEST(File, ASecretIsWrittenForItsOwnerAlone) {
  const fs::path file = fs::path(testing::TempDir()) / "secret.txt";
  ASSERT_TRUE(WriteFileAtomically(file, "a", 0600).ok());
  EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST(File, MissingFileIsNotFoundAndNamed) {
  const auto found = MappedFile::Open("/no/such/file");
  EXPECT_TRUE(absl::IsNotFound(found.status()));
  EXPECT_THAT(std::string(found.status().message()), testing::HasSubstr("/no/such/file"));
}

TEST(File, ReadStopsAtTheLimit) {
  const fs::path file = fs::path(testing::TempDir()) / "limit.txt";
  ASSERT_TRUE(WriteFileAtomically(file, std::string(100, 'x')).ok());
  EXPECT_TRUE(ReadFile(file, 100).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(ReadFile(file, 99).status()));
}

TEST(File, MapsTheBytesAndAnEmptyFile) {
  const fs::path file = fs::path(testing::TempDir()) / "mapped.bin";
  ASSERT_TRUE(WriteFileAtomically(file, "abc").ok());
  EXPECT_EQ(static_cast<char>(MappedFile::Open(file)->bytes()[2]), 'c');
  ASSERT_TRUE(WriteFileAtomically(file, "").ok());
  EXPECT_TRUE(MappedFile::Open(file)->bytes().empty());
}

}  // namespace
}  // namespace tanren
