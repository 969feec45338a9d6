// A process that is killed while it commits: everything that it acknowledged is there, and each
// commit is there as a whole or not at all.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "coordinator/store/backup.h"
#include "coordinator/store/sqlite_store.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/base/fail_point.h"
#include "runtime/base/random.h"
#include "tests/coordinator/store/history_samples.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

// Each commit has two events and changes one record to their last number, padded so that the log
// is moved into the file now and then.
constexpr uint64_t kEventsEach = 2;
constexpr size_t kPadding = 100'000;

std::string ValueAt(uint64_t sequence) {
  return fmt::format("{}:{}", sequence,
                     std::string(kPadding, static_cast<char>('a' + sequence % 26)));
}

// Goes on from where the store is, telling each acknowledged number by `acknowledged`.
[[noreturn]] void CommitForEver(const fs::path& folder, int acknowledged) {
  auto store = SqliteStore::Open(folder);
  if (!store.ok()) _exit(3);
  if ((*store)->needs_new_epoch() &&
      !(*store)->Write({{EpochBegan(1), Submitted(2, 1)}, {}}).ok()) {
    _exit(4);
  }
  while (true) {
    const uint64_t last = (*store)->last_sequence() + kEventsEach;
    const Commit commit{{Submitted(last - 1, last), Submitted(last, last)},
                        {{RecordKind::kLedger, "", ValueAt(last)}}};
    if (!(*store)->Write(commit).ok()) _exit(5);
    if (write(acknowledged, &last, sizeof(last)) != sizeof(last)) _exit(6);
  }
}

class Crash : public ::testing::Test {
 protected:
  Crash() { fs::remove_all(folder_); }
  ~Crash() override { fs::remove_all(folder_); }

  // Runs the commits in a child, with `fail_points`, until it dies or `kill_after` has passed, and
  // checks what is left. How it ended.
  int RunAndCheck(const std::string& fail_points, std::chrono::microseconds kill_after) {
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0) return -1;
    const pid_t child = fork();
    if (child == 0) {
      close(pipe_ends[0]);
      if (!SetFailPoints(fail_points).ok()) _exit(2);
      CommitForEver(folder_, pipe_ends[1]);
    }
    close(pipe_ends[1]);
    if (kill_after.count() > 0) {
      std::this_thread::sleep_for(kill_after);
      kill(child, SIGKILL);
    }
    uint64_t acknowledged = 0;
    while (read(pipe_ends[0], &acknowledged, sizeof(acknowledged)) == sizeof(acknowledged)) {
    }
    close(pipe_ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    Check(acknowledged);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
  }

  void Check(uint64_t acknowledged) {
    const auto store = SqliteStore::Open(folder_);
    ASSERT_TRUE(store.ok()) << store.status();
    const uint64_t last = (*store)->last_sequence();
    EXPECT_GE(last, acknowledged);
    EXPECT_GE(last, before_);
    EXPECT_EQ(last % kEventsEach, 0) << "half a commit";
    const auto events = (*store)->Events(1, 1'000'000);
    ASSERT_TRUE(events.ok()) << events.status();
    EXPECT_EQ(events->size(), last);
    const auto records = (*store)->Records();
    ASSERT_TRUE(records.ok()) << records.status();
    if (last > kEventsEach) {
      ASSERT_EQ(records->size(), 1);
      EXPECT_TRUE(records->front().value == ValueAt(last))
          << "events and records of different commits";
    }
    before_ = last;
  }

  fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("store_crash.{}", getpid());
  uint64_t before_ = 0;
};

TEST_F(Crash, AtEachFailPointEverythingAcknowledgedIsThere) {
  int commits = 0;
  for (const char* point :
       {"store.between_statements", "store.before_commit", "store.after_commit"}) {
    for (const int passage : {1, 2, 3, 7, 20}) {
      EXPECT_EQ(RunAndCheck(fmt::format("{}:kill@{}", point, passage), {}), SIGKILL)
          << point << " " << passage;
      ++commits;
    }
  }
  for (const char* point : {"store.before_checkpoint", "store.after_checkpoint"}) {
    EXPECT_EQ(RunAndCheck(fmt::format("{}:kill@1", point), {}), SIGKILL) << point;
  }
  EXPECT_GT(before_, 60);
}

TEST_F(Crash, AtRandomMomentsEverythingAcknowledgedIsThere) {
  RandomStream random(20261126, RandomPurpose::kSampling);
  for (int round = 0; round < 25; ++round) {
    const std::chrono::microseconds moment(5'000 + random.NextBelow(60'000));
    EXPECT_EQ(RunAndCheck("", moment), SIGKILL);
  }
  EXPECT_GT(before_, 50);
}

TEST_F(Crash, InTheMiddleOfABackupLeavesNoFileOfThatName) {
  ThrowIfError(ValueOrThrow(SqliteStore::Open(folder_))->Write({{EpochBegan(1)}, {}}));
  const fs::path path = folder_ / "backup";
  const pid_t child = fork();
  if (child == 0) {
    if (!SetFailPoints("backup.before_name:kill").ok()) _exit(2);
    (void)ValueOrThrow(SqliteStore::Open(folder_))->Backup(path);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(ValueOrThrow(SqliteStore::Open(folder_))->Backup(path).ok());
}

}  // namespace
}  // namespace tanren::coordinator
