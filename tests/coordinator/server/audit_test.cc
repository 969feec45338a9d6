#include "coordinator/server/audit.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;
using ::testing::SizeIs;

class AuditTest : public ::testing::Test {
 protected:
  // The lines of a file, each of which must be JSON.
  std::vector<nlohmann::json> Lines(const std::string& name = "audit.jsonl") {
    std::vector<nlohmann::json> lines;
    const std::string text = ValueOrThrow(ReadFile(folder_ / name));
    EXPECT_TRUE(text.empty() || text.ends_with('\n'));
    for (const auto& line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      lines.push_back(nlohmann::json::parse(std::string(line), nullptr, false));
    }
    return lines;
  }
  const TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
};

TEST_F(AuditTest, AChangeIsOneLineWithWhoWhatAndHowItEnded) {
  const auto log = ValueOrThrow(AuditLog::Open(folder_));
  ThrowIfError(log->Append({1'795'000'000'123, "alice", "Jobs.Cancel", "job 17", "r1",
                            absl::PermissionDeniedError("another's job")}));
  const auto lines = Lines();
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_EQ(lines[0]["time"], "2026-11-18T11:06:40.123Z");
  EXPECT_EQ(lines[0]["user"], "alice");
  EXPECT_EQ(lines[0]["method"], "Jobs.Cancel");
  EXPECT_EQ(lines[0]["target"], "job 17");
  EXPECT_EQ(lines[0]["request"], "r1");
  EXPECT_EQ(lines[0]["outcome"], "PERMISSION_DENIED");
  EXPECT_EQ(lines[0]["message"], "another's job");
  EXPECT_EQ(fs::status(folder_ / "audit.jsonl").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(AuditTest, WhatCallersSendCannotForgeALine) {
  const auto log = ValueOrThrow(AuditLog::Open(folder_));
  ThrowIfError(log->Append({0, "a", "m", "x\n{\"user\":\"root\"}\x1B[2J\xFF",
                            std::string(9999, 'r'), absl::OkStatus()}));
  const auto lines = Lines();
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_EQ(lines[0]["request"].get<std::string>().size(), 512);
  EXPECT_EQ(ValueOrThrow(ReadFile(folder_ / "audit.jsonl")).find('\x1B'), std::string::npos);
}

TEST_F(AuditTest, ItIsAppendedToAndALineThatWasCutShortEnds) {
  ThrowIfError(ValueOrThrow(AuditLog::Open(folder_))->Append({0, "a", "", "", "", {}}));
  ThrowIfError(WriteFileAtomically(folder_ / "audit.jsonl",
                                   ValueOrThrow(ReadFile(folder_ / "audit.jsonl")) + "{\"time\":"));
  ThrowIfError(ValueOrThrow(AuditLog::Open(folder_))->Append({0, "b", "", "", "", {}}));
  const auto lines = Lines();
  ASSERT_THAT(lines, SizeIs(3));
  EXPECT_EQ(lines[0]["user"], "a");
  EXPECT_TRUE(lines[1].is_discarded());
  EXPECT_EQ(lines[2]["user"], "b");
}

TEST_F(AuditTest, FullFilesAreNumberedAndTheOldestGo) {
  const auto log = ValueOrThrow(AuditLog::Open(folder_, {.limit_bytes = 400, .keep = 2}));
  for (int i = 0; i < 40; ++i) {
    ThrowIfError(log->Append({0, std::to_string(i), "m", "t", "r", {}}));
  }
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    names.push_back(entry.path().filename());
    EXPECT_LE(entry.file_size(), 400);
  }
  EXPECT_THAT(names, SizeIs(3));
  EXPECT_FALSE(fs::exists(folder_ / "audit-000001.jsonl"));
  EXPECT_EQ(Lines().back()["user"], "39");
  // A later start goes on with the numbers.
  const auto next = ValueOrThrow(AuditLog::Open(folder_, {.limit_bytes = 1, .keep = 2}));
  std::sort(names.begin(), names.end());
  ThrowIfError(next->Append({0, "40", "m", "t", "r", {}}));
  EXPECT_FALSE(fs::exists(folder_ / names[0]));
  EXPECT_TRUE(fs::exists(folder_ / names[1]));
}

TEST_F(AuditTest, ThreadsDoNotMixTheirLines) {
  const auto log = ValueOrThrow(AuditLog::Open(folder_, {.limit_bytes = 1 << 20, .keep = 2}));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        ThrowIfError(
            log->Append({0, std::string(300, static_cast<char>('a' + t)), "", "", "", {}}));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto lines = Lines();
  EXPECT_THAT(lines, SizeIs(400));
  for (const auto& line : lines) ASSERT_FALSE(line.is_discarded());
}

}  // namespace
}  // namespace tanren::coordinator
