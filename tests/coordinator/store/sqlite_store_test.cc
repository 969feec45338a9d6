// What the store on disk does beyond the contract: files, locks, versions, damage, full disks.
#include "coordinator/store/sqlite_store.h"

#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>

#include "coordinator/store/backup.h"
#include "coordinator/store/lock_file.h"
#include "coordinator/store/sqlite_connection.h"
#include "coordinator/store/state_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/base/fail_point.h"
#include "runtime/base/file.h"
#include "tests/coordinator/store/history_samples.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class SqliteStoreTest : public ::testing::Test {
 protected:
  ~SqliteStoreTest() override { (void)SetFailPoints(""); }
  std::unique_ptr<SqliteStore> Open() { return ValueOrThrow(SqliteStore::Open(state_)); }
  absl::Status OpenStatus() { return SqliteStore::Open(state_).status(); }
  // Ten events and records, closed again.
  void MakeHistory() {
    const auto store = Open();
    Commit commit{{EpochBegan(1)}, {}};
    for (uint64_t i = 2; i <= 10; ++i) {
      commit.events.push_back(Submitted(i, i));
      commit.records.push_back(JobRecord(i, fmt::format("job {}", i)));
    }
    ThrowIfError(store->Write(commit));
  }
  // SQL on the closed file, as somebody with the sqlite3 shell would.
  void Run(const std::string& sql) {
    auto file = ValueOrThrow(
        SqliteConnection::Open(state_ / "history.db", SqliteConnection::Mode::kReadWrite));
    ThrowIfError(file.Execute(sql));
  }
  static unsigned ModeOf(const fs::path& path) {
    struct stat info = {};
    return stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
  }

  const TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
  fs::path state_ = folder_ / "state";
};

TEST_F(SqliteStoreTest, FolderAndFilesAreForTheirOwnerAlone) {
  const mode_t before = umask(0);
  const auto store = Open();
  ThrowIfError(store->Write({{EpochBegan(1)}, {}}));
  umask(before);
  EXPECT_EQ(ModeOf(state_), 0700);
  for (const char* name : {"history.db", "history.db-wal", "lock"}) {
    EXPECT_EQ(ModeOf(state_ / name), 0600) << name;
  }
  // The log's index is in memory: nobody else can become a second connection.
  EXPECT_FALSE(fs::exists(state_ / "history.db-shm"));
}

TEST_F(SqliteStoreTest, AFolderThatOthersMayWriteInIsRefused) {
  fs::create_directories(state_);
  ASSERT_EQ(chmod(state_.c_str(), 0770), 0);
  const absl::Status status = OpenStatus();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.ToString(), AllOf(HasSubstr("0770"), HasSubstr("chmod 700")));
}

TEST_F(SqliteStoreTest, ASecondHolderIsRefusedAndToldWhoTheFirstIs) {
  const auto store = Open();
  const absl::Status status = OpenStatus();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  char host[256] = {};
  gethostname(host, sizeof(host) - 1);
  EXPECT_THAT(status.ToString(), AllOf(HasSubstr(fmt::format("process {}", getpid())),
                                       HasSubstr(host), HasSubstr((state_ / "lock").string())));
  EXPECT_EQ(RestoreBackup(state_ / "history.db", state_).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(SqliteStoreTest, TheLockIsGoneWithItsProcessHoweverItEnds) {
  const pid_t child = fork();
  if (child == 0) {
    const auto store = SqliteStore::Open(state_);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_THAT(ValueOrThrow(ReadFile(state_ / "lock")), HasSubstr(fmt::format("{}", child)));
  EXPECT_TRUE(OpenStatus().ok());
}

TEST_F(SqliteStoreTest, WhoHoldsTheLockOpensTheStoreAgainAndNobodyComesInBetween) {
  const auto lock = std::make_shared<const LockFile>(ValueOrThrow(TakeStateFolder(state_)));
  auto store = ValueOrThrow(SqliteStore::Open(state_, lock));
  ThrowIfError(store->Write({{EpochBegan(1)}, {}}));
  store.reset();
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kUnavailable);
  store = ValueOrThrow(SqliteStore::Open(state_, lock));
  EXPECT_EQ(store->last_sequence(), 1u);
}

TEST_F(SqliteStoreTest, TheShellCannotReadOrWriteWhileItIsOpen) {
  const auto store = Open();
  ThrowIfError(store->Write({{EpochBegan(1)}, {}}));
  auto other = ValueOrThrow(
      SqliteConnection::Open(state_ / "history.db", SqliteConnection::Mode::kReadWrite));
  EXPECT_EQ(other.QueryInteger("SELECT COUNT(*) FROM events").status().code(),
            absl::StatusCode::kUnavailable);
}

TEST(NetworkFilesystems, AreKnownByTheirNumbersAndLocalOnesAreNot) {
  EXPECT_EQ(NetworkFilesystem(0x6969), "NFS");
  EXPECT_EQ(NetworkFilesystem(0xFE534D42), "SMB2");
  EXPECT_EQ(NetworkFilesystem(0x0BD00BD0), "Lustre");
  EXPECT_EQ(NetworkFilesystem(0x47504653), "GPFS");
  EXPECT_EQ(NetworkFilesystem(0x65735546), "FUSE");
  for (uint64_t local :
       {0xEF53u, 0x58465342u, 0x9123683Eu, 0x01021994u, 0x2FC12FC1u, 0x794C7630u}) {
    EXPECT_EQ(NetworkFilesystem(local), std::nullopt);
  }
}

TEST_F(SqliteStoreTest, AFileOfALaterVersionIsRefusedAndLeftAlone) {
  MakeHistory();
  Run("PRAGMA user_version = 2");
  const absl::Status status = OpenStatus();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.ToString(), AllOf(HasSubstr("version 2"), HasSubstr("history.db")));
  Run("PRAGMA user_version = 1");
  EXPECT_EQ(Open()->last_sequence(), 10);
}

TEST_F(SqliteStoreTest, AnotherProgramsFileIsRefused) {
  fs::create_directories(state_);
  fs::permissions(state_, fs::perms::owner_all);
  ThrowIfError(WriteFileAtomically(state_ / "history.db", ""));
  Run("CREATE TABLE theirs (x)");
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kFailedPrecondition);
  ThrowIfError(WriteFileAtomically(state_ / "history.db", std::string(8192, 'x')));
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SqliteStoreTest, ADamagedEventIsNamedByTableAndRow) {
  MakeHistory();
  Run("UPDATE events SET event = substr(event, 1, length(event) - 1) || x'7A' WHERE sequence = 7");
  const auto store = Open();
  const absl::Status status = store->Events(1, 100).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(status.ToString(), HasSubstr("table events, row 7"));
  EXPECT_THAT(ValueOrThrow(store->Events(8, 100)), SizeIs(3));
}

TEST_F(SqliteStoreTest, ARowInAnothersPlaceIsDamage) {
  MakeHistory();
  Run("UPDATE events SET (event, checksum) = (SELECT event, checksum FROM events WHERE sequence = "
      "3)"
      " WHERE sequence = 4");
  EXPECT_THAT(Open()->Events(1, 100).status().ToString(), HasSubstr("table events, row 4"));
  Run("UPDATE records SET (value, checksum) = (SELECT value, checksum FROM records WHERE "
      "key = CAST('00000000000000000003' AS BLOB)) WHERE key = CAST('00000000000000000004' AS "
      "BLOB)");
  EXPECT_THAT(Open()->Records().status().ToString(),
              AllOf(HasSubstr("table records"), HasSubstr("00000000000000000004")));
}

TEST_F(SqliteStoreTest, AMissingEventIsFoundAtTheStart) {
  MakeHistory();
  Run("DELETE FROM events WHERE sequence = 5");
  const absl::Status status = OpenStatus();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(status.ToString(), HasSubstr("9 rows for the numbers 1 to 10"));
}

TEST_F(SqliteStoreTest, ADamagedPageIsFoundAtTheStart) {
  MakeHistory();
  const fs::path path = state_ / "history.db";
  std::string bytes = ValueOrThrow(ReadFile(path));
  // The second page: a table's root.
  for (size_t i = 4096; i < 4096 + 64; ++i) bytes[i] = '\x5A';
  ThrowIfError(WriteFileAtomically(path, bytes, 0600));
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SqliteStoreTest, ALogWithoutItsFileIsNotTakenForANewHistory) {
  {
    const auto store = Open();
    ThrowIfError(store->Write({{EpochBegan(1)}, {}}));
    ThrowIfError(SetFailPoints("store.before_commit:error"));
    EXPECT_FALSE(store->Write({{Submitted(2, 1)}, {}}).ok());
  }
  ThrowIfError(SetFailPoints(""));
  ASSERT_GT(fs::file_size(state_ / "history.db-wal"), 0);
  fs::rename(state_ / "history.db", folder_ / "elsewhere");
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SqliteStoreTest, AFileThatWasCopiedBackBeginsANewEpoch) {
  MakeHistory();
  EXPECT_FALSE(Open()->needs_new_epoch());
  fs::copy_file(state_ / "history.db", folder_ / "old.db");
  fs::remove(state_ / "history.db");
  fs::copy_file(folder_ / "old.db", state_ / "history.db");
  EXPECT_TRUE(Open()->needs_new_epoch());
}

TEST_F(SqliteStoreTest, ABackupCopiedIntoPlaceByHandBeginsANewEpoch) {
  MakeHistory();
  ThrowIfError(Open()->Backup(folder_ / "backup"));
  EXPECT_EQ(ModeOf(folder_ / "backup"), 0600);
  // Over the file that is there: its number on the disk stays.
  ThrowIfError(SyncToDisk(folder_ / "backup"));
  fs::copy_file(folder_ / "backup", state_ / "history.db", fs::copy_options::overwrite_existing);
  EXPECT_TRUE(Open()->needs_new_epoch());
}

TEST_F(SqliteStoreTest, ABackupThatIsDroppedOrOutlivesItsStoreLeavesNothing) {
  MakeHistory();
  auto store = Open();
  ThrowIfError(store->Write({{}, {JobRecord(1, std::string(4 << 20, 'x'))}}));
  auto run = ValueOrThrow(store->StartBackup(folder_ / "backup"));
  EXPECT_EQ(store->StartBackup(folder_ / "second").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(run->Finish().status().code(), absl::StatusCode::kFailedPrecondition);
  store = nullptr;
  EXPECT_EQ(run->Step(1000).status().code(), absl::StatusCode::kUnavailable);
  run = nullptr;
  store = Open();
  run = ValueOrThrow(store->StartBackup(folder_ / "backup"));
  run = nullptr;
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
  EXPECT_TRUE(store->Backup(folder_ / "backup").ok());
}

TEST_F(SqliteStoreTest, RestoringOverwritesNothing) {
  MakeHistory();
  ThrowIfError(Open()->Backup(folder_ / "backup"));
  const std::string before = ValueOrThrow(ReadFile(state_ / "history.db"));
  EXPECT_EQ(RestoreBackup(folder_ / "backup", state_).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ValueOrThrow(ReadFile(state_ / "history.db")), before);
  // A log alone would be replayed into the restored file.
  fs::rename(state_ / "history.db", folder_ / "lost.db");
  ThrowIfError(WriteFileAtomically(state_ / "history.db-wal", "x"));
  EXPECT_EQ(RestoreBackup(folder_ / "backup", state_).status().code(),
            absl::StatusCode::kAlreadyExists);
  const RestoredHistory restored =
      ValueOrThrow(RestoreBackup(folder_ / "backup", folder_ / "other"));
  EXPECT_EQ(restored.last_sequence, 10);
  EXPECT_EQ(restored.last_event_ms, 1'000'010);
  EXPECT_EQ(ModeOf(folder_ / "other" / "history.db"), 0600);
}

TEST_F(SqliteStoreTest, WhatIsNoBackupOrADamagedOneIsNotRestored) {
  MakeHistory();
  EXPECT_THAT(RestoreBackup(state_ / "history.db", folder_ / "other").status().ToString(),
              HasSubstr("own file"));
  ThrowIfError(WriteFileAtomically(folder_ / "text", std::string(5000, 'x')));
  EXPECT_THAT(RestoreBackup(folder_ / "text", folder_ / "other").status().ToString(),
              HasSubstr("not a backup"));
  EXPECT_EQ(RestoreBackup(folder_ / "none", folder_ / "other").status().code(),
            absl::StatusCode::kNotFound);
  Run("UPDATE events SET checksum = checksum + 1 WHERE sequence = 7");
  EXPECT_THAT(Open()->Backup(folder_ / "backup").ToString(), HasSubstr("table events, row 7"));
  EXPECT_FALSE(fs::exists(folder_ / "backup"));
  Run("UPDATE events SET checksum = checksum - 1 WHERE sequence = 7");
  ThrowIfError(Open()->Backup(folder_ / "backup"));
  {
    auto file = ValueOrThrow(
        SqliteConnection::Open(folder_ / "backup", SqliteConnection::Mode::kReadWrite));
    ThrowIfError(file.Execute("UPDATE records SET checksum = 1 WHERE rowid = 2"));
  }
  EXPECT_THAT(RestoreBackup(folder_ / "backup", folder_ / "other").status().ToString(),
              HasSubstr("table records"));
  EXPECT_FALSE(fs::exists(folder_ / "other" / "history.db"));
  for (const auto& entry : fs::directory_iterator(folder_)) {
    EXPECT_THAT(entry.path().string(), ::testing::Not(HasSubstr(".tmp.")));
  }
}

TEST_F(SqliteStoreTest, TheLogIsMovedIntoTheFileWhenItHasGrownAndNothingIsLost) {
  const std::string big(1 << 20, 'x');
  {
    const auto store = Open();
    ThrowIfError(store->Write({{EpochBegan(1)}, {}}));
    uintmax_t most = 0;
    for (uint64_t i = 1; i <= 40; ++i) {
      ThrowIfError(
          store->Write({{Submitted(i + 1, i)}, {JobRecord(i % 4, big + std::to_string(i))}}));
      most = std::max(most, fs::file_size(state_ / "history.db-wal"));
    }
    EXPECT_LT(most, 20u << 20);
    EXPECT_GT(fs::file_size(state_ / "history.db"), 4u << 20);
  }
  // Closed: everything is in the file.
  EXPECT_EQ(fs::file_size(state_ / "history.db-wal"), 0);
  const auto store = Open();
  EXPECT_EQ(store->last_sequence(), 41);
  EXPECT_EQ(TextsOf(ValueOrThrow(store->Records()))[0], "2/00000000000000000000=" + big + "40");
}

TEST_F(SqliteStoreTest, AFailedCheckpointTakesNothingBackAndEndsTheCommits) {
  const auto store = Open();
  ThrowIfError(store->Write({{EpochBegan(1)}, {}}));
  ThrowIfError(SetFailPoints("store.before_checkpoint:error"));
  const std::string big(20 << 20, 'x');
  EXPECT_TRUE(store->Write({{Submitted(2, 1)}, {JobRecord(1, big)}}).ok());
  EXPECT_EQ(store->Write({{Submitted(3, 2)}, {}}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(ValueOrThrow(store->Events(1, 10)), SizeIs(2));
}

// The rest of the test, in a child that sees a small disk of its own at `folder`.
template <typename Body>
void OnFullDisk(const fs::path& folder, Body body) {
  fs::create_directories(folder);
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) _exit(77);
    if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", folder.c_str(), "tmpfs", 0, "size=1m,mode=700") != 0) {
      _exit(77);
    }
    _exit(body());
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "this kernel allows no mount";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(SqliteStoreTest, AFullDiskEndsTheCommitsAndLosesNothing) {
  OnFullDisk(state_, [&] {
    uint64_t acknowledged = 1;
    {
      const auto store = Open();
      if (!store->Write({{EpochBegan(1)}, {}}).ok()) return 1;
      absl::Status status;
      while (status.ok() && acknowledged < 1000) {
        const uint64_t next = acknowledged + 1;
        status = store->Write({{Submitted(next, next)}, {JobRecord(next, std::string(8000, 'x'))}});
        if (status.ok()) acknowledged = next;
      }
      if (!absl::IsResourceExhausted(status)) return 2;
      if (!absl::IsFailedPrecondition(store->Write({{Submitted(acknowledged + 1, 1)}, {}})))
        return 3;
      if (store->Events(1, 1000)->size() != acknowledged) return 4;
    }
    const auto store = SqliteStore::Open(state_);
    if (!store.ok()) return 5;
    if ((*store)->last_sequence() != acknowledged) return 6;
    return (*store)->Records()->size() == acknowledged - 1 ? 0 : 7;
  });
}

// A disk that takes no further byte of a file, with an error that isn't "full".
TEST_F(SqliteStoreTest, AnErrorOfTheDiskEndsTheCommitsAndLosesNothing) {
  const pid_t child = fork();
  if (child == 0) {
    const auto store = Open();
    if (!store->Write({{EpochBegan(1)}, {}}).ok()) _exit(1);
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{200'000, 200'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    const absl::Status status =
        store->Write({{Submitted(2, 1)}, {JobRecord(1, std::string(400'000, 'x'))}});
    if (status.ok() || absl::IsInvalidArgument(status)) _exit(2);
    if (!absl::IsFailedPrecondition(store->Write({{Submitted(2, 1)}, {}}))) _exit(3);
    _exit(store->last_sequence() == 1 ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  const auto store = Open();
  EXPECT_EQ(store->last_sequence(), 1);
  EXPECT_THAT(ValueOrThrow(store->Records()), SizeIs(0));
}

}  // namespace
}  // namespace tanren::coordinator
