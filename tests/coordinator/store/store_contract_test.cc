// What every store promises, on each of them.
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "coordinator/store/backup.h"
#include "coordinator/store/memory_store.h"
#include "coordinator/store/sqlite_store.h"
#include "coordinator/store/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/base/fail_point.h"
#include "tests/coordinator/store/history_samples.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A store that can be closed and opened again, be made to fail, and be restored from its backup.
class Bench {
 public:
  virtual ~Bench() = default;
  virtual Store& store() = 0;
  virtual void Reopen() = 0;
  // The next Write fails before it is durable, or after.
  virtual void FailNextWrite(bool durable) = 0;
  virtual void Restore(const fs::path& backup) = 0;
};

class MemoryBench : public Bench {
 public:
  Store& store() override { return store_; }
  void Reopen() override { store_.Crash(); }
  void FailNextWrite(bool durable) override {
    store_.InjectFault(durable ? StoreFault::kAnswerLost : StoreFault::kNothingWritten);
  }
  void Restore(const fs::path& backup) override { store_.Restore(store_.backups().at(backup)); }

 private:
  MemoryStore store_;
};

class SqliteBench : public Bench {
 public:
  SqliteBench() { Reopen(); }
  ~SqliteBench() override { (void)SetFailPoints(""); }
  Store& store() override { return *store_; }
  void Reopen() override {
    store_ = nullptr;
    (void)SetFailPoints("");
    store_ = ValueOrThrow(SqliteStore::Open(folder_ / "state"));
  }
  void FailNextWrite(bool durable) override {
    ThrowIfError(
        SetFailPoints(durable ? "store.after_commit:error@1" : "store.before_commit:error@1"));
  }
  void Restore(const fs::path& backup) override {
    store_ = nullptr;
    fs::rename(folder_ / "state", folder_ / "lost");
    ThrowIfError(RestoreBackup(backup, folder_ / "state").status());
    store_ = ValueOrThrow(SqliteStore::Open(folder_ / "state"));
  }

 private:
  const TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
  std::unique_ptr<SqliteStore> store_;
};

using MakeBench = std::function<std::unique_ptr<Bench>()>;

class StoreContract : public ::testing::TestWithParam<std::pair<const char*, MakeBench>> {
 protected:
  StoreContract() : bench_(GetParam().second()) {}
  Store& store() { return bench_->store(); }
  std::vector<uint64_t> Sequences(uint64_t first, int limit) {
    std::vector<uint64_t> sequences;
    for (const HistoryEvent& event : ValueOrThrow(store().Events(first, limit))) {
      sequences.push_back(event.sequence());
    }
    return sequences;
  }
  std::vector<std::string> Texts() { return TextsOf(ValueOrThrow(store().Records())); }
  // Where nothing is.
  fs::path NewPath(const std::string& name) { return temporary_.path() / name; }

  const TemporaryFolder temporary_;
  std::unique_ptr<Bench> bench_;
};

TEST_P(StoreContract, ANewHistoryIsEmptyAndMustBeginAnEpoch) {
  EXPECT_EQ(store().last_sequence(), 0);
  EXPECT_THAT(Texts(), IsEmpty());
  EXPECT_THAT(Sequences(1, 10), IsEmpty());
  EXPECT_TRUE(store().needs_new_epoch());
  EXPECT_EQ(store().Write({{Submitted(1, 1)}, {}}).code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(store().Write({{EpochBegan(1)}, {}}).ok());
  EXPECT_FALSE(store().needs_new_epoch());
  bench_->Reopen();
  EXPECT_FALSE(store().needs_new_epoch());
}

TEST_P(StoreContract, WhatWasWrittenIsThereAfterReopening) {
  ASSERT_TRUE(store().Write({{EpochBegan(1), Submitted(2, 1)}, {JobRecord(1, "a")}}).ok());
  ASSERT_TRUE(store().Write({{Submitted(3, 2)}, {JobRecord(2, "b"), JobRecord(1, "c")}}).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(store().last_sequence(), 3);
    EXPECT_THAT(Sequences(1, 10), ElementsAre(1, 2, 3));
    EXPECT_THAT(Texts(), ElementsAre("2/00000000000000000001=c", "2/00000000000000000002=b"));
    const auto events = ValueOrThrow(store().Events(2, 1));
    ASSERT_EQ(events.size(), 1);
    EXPECT_EQ(events[0].SerializeAsString(), Submitted(2, 1).SerializeAsString());
    bench_->Reopen();
  }
}

TEST_P(StoreContract, EventsComeInOrderFromANumberUpToALimit) {
  Commit commit{{EpochBegan(1)}, {}};
  for (uint64_t i = 2; i <= 10; ++i) commit.events.push_back(Submitted(i, i));
  ASSERT_TRUE(store().Write(commit).ok());
  EXPECT_THAT(Sequences(4, 3), ElementsAre(4, 5, 6));
  EXPECT_THAT(Sequences(9, 100), ElementsAre(9, 10));
  EXPECT_THAT(Sequences(11, 100), IsEmpty());
  EXPECT_THAT(Sequences(0, 2), ElementsAre(1, 2));
  EXPECT_THAT(Sequences(1, 0), IsEmpty());
}

TEST_P(StoreContract, NumbersThatDoNotFollowAreRefusedAndNothingIsWritten) {
  ASSERT_TRUE(store().Write({{EpochBegan(1)}, {}}).ok());
  const Commit wrong[] = {{{Submitted(3, 1)}, {JobRecord(1, "x")}},
                          {{Submitted(1, 1)}, {}},
                          {{Submitted(2, 1), Submitted(4, 2)}, {JobRecord(1, "x")}},
                          {{Submitted(2, 1), Submitted(2, 2)}, {}}};
  for (const Commit& commit : wrong) {
    EXPECT_EQ(store().Write(commit).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(store().last_sequence(), 1);
    EXPECT_THAT(Texts(), IsEmpty());
  }
  EXPECT_TRUE(store().Write({{Submitted(2, 1)}, {}}).ok());
}

TEST_P(StoreContract, RecordsAreReplacedAndErasedInTheOrderGiven) {
  const Record erase{RecordKind::kJob, JobRecord(1, "").key, "", true};
  ASSERT_TRUE(store().Write({{}, {JobRecord(1, "a"), JobRecord(2, "b")}}).ok());
  ASSERT_TRUE(store().Write({{}, {erase, JobRecord(2, "c"), JobRecord(2, "d")}}).ok());
  EXPECT_THAT(Texts(), ElementsAre("2/00000000000000000002=d"));
  ASSERT_TRUE(store().Write({{}, {JobRecord(1, "e"), erase, erase}}).ok());
  EXPECT_THAT(Texts(), ElementsAre("2/00000000000000000002=d"));
}

TEST_P(StoreContract, KeysOfDifferentKindsAndAnyBytesAreKept) {
  const std::string bytes("a\0\xFF\n'\"", 6);
  const Commit commit{{},
                      {{RecordKind::kNode, "x", "1"},
                       {RecordKind::kQuota, "x", "2"},
                       {RecordKind::kRequest, bytes, bytes},
                       {RecordKind::kLedger, "", ""}}};
  ASSERT_TRUE(store().Write(commit).ok());
  bench_->Reopen();
  EXPECT_THAT(Texts(), ElementsAre("1/=", "3/x=1", "4/x=2", "6/" + bytes + "=" + bytes));
}

TEST_P(StoreContract, AnEmptyCommitIsNothing) {
  EXPECT_TRUE(store().Write({}).ok());
  EXPECT_EQ(store().last_sequence(), 0);
}

TEST_P(StoreContract, AfterAFailedCommitNothingMoreIsTakenUntilReopened) {
  ASSERT_TRUE(store().Write({{EpochBegan(1)}, {JobRecord(1, "a")}}).ok());
  bench_->FailNextWrite(/*durable=*/false);
  const absl::Status failed = store().Write({{Submitted(2, 2)}, {JobRecord(1, "b")}});
  EXPECT_FALSE(failed.ok());
  EXPECT_NE(failed.code(), absl::StatusCode::kInvalidArgument);
  for (uint64_t sequence : {2, 3}) {
    EXPECT_EQ(store().Write({{Submitted(sequence, 2)}, {}}).code(),
              absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_EQ(store().ForgetEvents(1).code(), absl::StatusCode::kFailedPrecondition);
  // Reading goes on, of what is durable.
  EXPECT_EQ(store().last_sequence(), 1);
  EXPECT_THAT(Sequences(1, 10), ElementsAre(1));
  EXPECT_THAT(Texts(), ElementsAre("2/00000000000000000001=a"));
  bench_->Reopen();
  EXPECT_EQ(store().last_sequence(), 1);
  EXPECT_THAT(Texts(), ElementsAre("2/00000000000000000001=a"));
  EXPECT_TRUE(store().Write({{Submitted(2, 2)}, {}}).ok());
}

TEST_P(StoreContract, ACommitWhoseAnswerWasLostIsWholeAfterReopening) {
  ASSERT_TRUE(store().Write({{EpochBegan(1)}, {}}).ok());
  bench_->FailNextWrite(/*durable=*/true);
  EXPECT_FALSE(store().Write({{Submitted(2, 2)}, {JobRecord(2, "b")}}).ok());
  EXPECT_EQ(store().Write({{Submitted(2, 2)}, {}}).code(), absl::StatusCode::kFailedPrecondition);
  bench_->Reopen();
  EXPECT_EQ(store().last_sequence(), 2);
  EXPECT_THAT(Sequences(1, 10), ElementsAre(1, 2));
  EXPECT_THAT(Texts(), ElementsAre("2/00000000000000000002=b"));
}

TEST_P(StoreContract, ForgottenEventsAreGoneAndNumbersGoOn) {
  Commit commit{{EpochBegan(1)}, {}};
  for (uint64_t i = 2; i <= 5; ++i) commit.events.push_back(Submitted(i, i));
  ASSERT_TRUE(store().Write(commit).ok());
  ASSERT_TRUE(store().ForgetEvents(3).ok());
  EXPECT_THAT(Sequences(1, 10), ElementsAre(3, 4, 5));
  ASSERT_TRUE(store().ForgetEvents(2).ok());
  ASSERT_TRUE(store().ForgetEvents(1000).ok());
  bench_->Reopen();
  EXPECT_THAT(Sequences(1, 10), ElementsAre(5));
  EXPECT_EQ(store().last_sequence(), 5);
  EXPECT_FALSE(store().needs_new_epoch());
  EXPECT_TRUE(store().Write({{Submitted(6, 6)}, {}}).ok());
  EXPECT_THAT(Sequences(1, 10), ElementsAre(5, 6));
}

TEST_P(StoreContract, ABackupHoldsWhatWasThereAndIsMadeOnce) {
  ASSERT_TRUE(store().Write({{EpochBegan(1)}, {JobRecord(1, "a")}}).ok());
  const fs::path path = NewPath("backup");
  ASSERT_TRUE(store().Backup(path).ok());
  EXPECT_EQ(store().Backup(path).code(), absl::StatusCode::kAlreadyExists);
  ASSERT_TRUE(store().Write({{Submitted(2, 2)}, {JobRecord(1, "b")}}).ok());
  bench_->Restore(path);
  EXPECT_EQ(store().last_sequence(), 1);
  EXPECT_THAT(Texts(), ElementsAre("2/00000000000000000001=a"));
}

TEST_P(StoreContract, ABackupInSlicesHoldsWhatWasCommittedUntilItWasCopied) {
  ASSERT_TRUE(store().Write({{EpochBegan(1)}, {JobRecord(1, std::string(9 << 20, 'x'))}}).ok());
  const fs::path path = NewPath("backup");
  {
    const auto run = ValueOrThrow(store().StartBackup(path));
    uint64_t last = 1;
    for (bool is_copied = false; !is_copied;) {
      is_copied = ValueOrThrow(run->Step(0));
      if (is_copied) break;
      ++last;
      ASSERT_TRUE(store().Write({{Submitted(last, last)}, {JobRecord(last, "a")}}).ok());
      is_copied = ValueOrThrow(run->Step(1));
    }
    const uint64_t copied = store().last_sequence();
    ASSERT_TRUE(store().Write({{Submitted(copied + 1, 1)}, {JobRecord(1, "late")}}).ok());
    EXPECT_EQ(ValueOrThrow(run->Finish()), copied);
    bench_->Restore(path);
    EXPECT_EQ(store().last_sequence(), copied);
    EXPECT_EQ(ValueOrThrow(store().Records()).size(), copied);
  }
}

TEST_P(StoreContract, ARestoredHistoryMustBeginAnEpochAndDoesSoOnce) {
  ASSERT_TRUE(store().Write({{EpochBegan(1)}, {}}).ok());
  const fs::path path = NewPath("backup");
  ASSERT_TRUE(store().Backup(path).ok());
  EXPECT_FALSE(store().needs_new_epoch());
  bench_->Restore(path);
  EXPECT_TRUE(store().needs_new_epoch());
  EXPECT_EQ(store().Write({{Submitted(2, 2)}, {}}).code(), absl::StatusCode::kInvalidArgument);
  bench_->Reopen();
  EXPECT_TRUE(store().needs_new_epoch());
  // Records alone (a new token) don't begin it.
  ASSERT_TRUE(store().Write({{}, {JobRecord(1, "a")}}).ok());
  EXPECT_TRUE(store().needs_new_epoch());
  ASSERT_TRUE(store().Write({{EpochBegan(2, 9), Submitted(3, 2)}, {}}).ok());
  EXPECT_FALSE(store().needs_new_epoch());
  bench_->Reopen();
  EXPECT_FALSE(store().needs_new_epoch());
  EXPECT_EQ(store().last_sequence(), 3);
}

INSTANTIATE_TEST_SUITE_P(AllStores, StoreContract,
                         ::testing::Values(
                             std::pair<const char*, MakeBench>{
                                 "Memory", [] { return std::make_unique<MemoryBench>(); }},
                             std::pair<const char*, MakeBench>{
                                 "Sqlite", [] { return std::make_unique<SqliteBench>(); }}),
                         [](const auto& info) { return std::string(info.param.first); });

}  // namespace
}  // namespace tanren::coordinator
