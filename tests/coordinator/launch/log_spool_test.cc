// Logs by time.
#include "coordinator/launch/log_spool.h"

#include <sys/stat.h>
#include <sys/time.h>

#include <filesystem>
#include <limits>
#include <string>

#include "fmt/format.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kBegin = 1'795'000'000'000;
constexpr int64_t kLarge = 64 << 20;

class LogsByTime : public ::testing::Test {
 protected:
  // What is read by who asks for `since_ms`, to the end.
  std::string Since(int64_t since_ms, bool* gap = nullptr) {
    ReadLogChunk request;
    request.set_since_ms(since_ms);
    std::string text;
    while (true) {
      const LogChunk chunk = ValueOrThrow(ReadSpool(path_, request, true));
      if (gap != nullptr) *gap = *gap || chunk.gap();
      text += chunk.data();
      if (chunk.data().empty() || chunk.end()) return text;
      request.set_since_ms(0);
      request.set_offset(chunk.offset() + chunk.data().size());
    }
  }
  // A line, `ms` after the last one.
  void WriteAfter(LogSpool& spool, int64_t ms, const std::string& line) {
    now_ms_ += ms;
    spool.Append(line + "\n");
  }

  const TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "trainer.0.log";
  int64_t now_ms_ = kBegin;
};

TEST_F(LogsByTime, BeginWithTheFirstLineOfThatTime) {
  LogSpool spool(path_, kLarge, [this] { return now_ms_; });
  WriteAfter(spool, 0, "one");
  WriteAfter(spool, 60'000, "two");
  WriteAfter(spool, 60'000, "three");
  EXPECT_EQ(Since(kBegin - 1), "one\ntwo\nthree\n");
  EXPECT_EQ(Since(kBegin), "one\ntwo\nthree\n");
  EXPECT_EQ(Since(kBegin + 30'000), "two\nthree\n");
  EXPECT_EQ(Since(kBegin + 60'000), "two\nthree\n");
  EXPECT_EQ(Since(kBegin + 90'000), "three\n");
  EXPECT_EQ(Since(kBegin + 180'000), "");
}

TEST_F(LogsByTime, LeaveOutNothingThatWasWrittenWithinASecond) {
  LogSpool spool(path_, kLarge, [this] { return now_ms_; });
  for (int i = 0; i < 50; ++i) WriteAfter(spool, 300, fmt::format("line {}", i));
  // Line i was written 300 (i + 1) ms after the beginning.
  for (int i = 0; i < 50; ++i) {
    const std::string text = Since(kBegin + 300 * (i + 1));
    EXPECT_NE(text.find(fmt::format("line {}\n", i)), std::string::npos) << i;
    if (i < 4) continue;
    EXPECT_EQ(text.find(fmt::format("line {}\n", i - 4)), std::string::npos) << i;
  }
}

TEST_F(LogsByTime, StayFoundOverDaysInAFileOfBoundedSize) {
  LogSpool spool(path_, kLarge, [this] { return now_ms_; });
  constexpr int kLines = 40'000;
  for (int i = 0; i < kLines; ++i) WriteAfter(spool, 5'000, fmt::format("line {}", i));
  EXPECT_LT(std::filesystem::file_size(TimesPath(path_)), 100u << 10);
  // Each to 1/64 of its age, and none is left out.
  EXPECT_EQ(Since(now_ms_ - 5'000), fmt::format("line {}\nline {}\n", kLines - 2, kLines - 1));
  for (const int line : {0, 1'000, 5'000, 20'000, 39'000}) {
    const std::string text = Since(kBegin + 5'000 * int64_t{line + 1});
    EXPECT_NE(text.find(fmt::format("line {}\n", line)), std::string::npos) << line;
    const int earliest = line - (kLines - line) / 64 - 2;
    if (earliest >= 0) {
      EXPECT_EQ(text.find(fmt::format("line {}\n", earliest)), std::string::npos) << line;
    }
  }
}

TEST_F(LogsByTime, DeclareNoGapWhereTheOldestBytesAreGone) {
  LogSpool spool(path_, 400, [this] { return now_ms_; });
  for (int i = 0; i < 200; ++i) WriteAfter(spool, 2'000, fmt::format("line {:03}", i));
  bool gap = false;
  const std::string text = Since(kBegin, &gap);
  EXPECT_FALSE(gap);
  EXPECT_TRUE(text.ends_with("line 199\n"));
}

TEST_F(LogsByTime, GoOnWhenTheClockIsSetBack) {
  LogSpool spool(path_, kLarge, [this] { return now_ms_; });
  WriteAfter(spool, 0, "one");
  WriteAfter(spool, -3'600'000, "two");
  WriteAfter(spool, 7'200'000, "three");
  EXPECT_EQ(Since(kBegin + 3'000'000), "three\n");
  EXPECT_EQ(Since(kBegin - 10), "one\ntwo\nthree\n");
}

TEST_F(LogsByTime, AreReadWholeWhereTheirTimesAreNonsense) {
  LogSpool spool(path_, kLarge, [this] { return now_ms_; });
  WriteAfter(spool, 0, "one");
  ThrowIfError(WriteFileAtomically(TimesPath(path_), std::string(3 * 24 + 5, '\xff')));
  EXPECT_EQ(Since(kBegin), "one\n");
  EXPECT_EQ(Since(std::numeric_limits<int64_t>::max()), "one\n");
}

TEST_F(LogsByTime, OfOneThatAnotherWritesAreAllOrNothing) {
  ThrowIfError(WriteFileAtomically(path_, "by srun\n"));
  const timeval times[2] = {{kBegin / 1000, 0}, {kBegin / 1000, 0}};
  ASSERT_EQ(utimes(path_.c_str(), times), 0);
  EXPECT_EQ(Since(kBegin - 60'000), "by srun\n");
  EXPECT_EQ(Since(kBegin + 60'000), "");
}

TEST_F(LogsByTime, WhoWaitsGetsWhatComesNext) {
  LogSpool spool(path_, kLarge, [this] { return now_ms_; });
  WriteAfter(spool, 0, "old");
  ReadLogChunk request;
  request.set_since_ms(kBegin + 60'000);
  LogChunk chunk = ValueOrThrow(ReadSpool(path_, request, false));
  EXPECT_EQ(chunk.data(), "");
  EXPECT_FALSE(chunk.end());
  WriteAfter(spool, 120'000, "new");
  chunk = ValueOrThrow(ReadSpool(path_, request, false));
  EXPECT_EQ(chunk.data(), "new\n");
  EXPECT_EQ(chunk.offset(), 4u);
}

}  // namespace
}  // namespace tanren::coordinator
