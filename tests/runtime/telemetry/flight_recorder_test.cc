#include "runtime/telemetry/flight_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <thread>

#include "runtime/base/file.h"
#include "runtime/telemetry/process_identity.h"
#include "tests/runtime/telemetry/child_process.h"

namespace tanren::telemetry {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

fs::path NewFolder(const std::string& name) {
  const fs::path folder = fs::path(testing::TempDir()) / ("flight_recorder_" + name);
  fs::remove_all(folder);
  return folder;
}

std::unique_ptr<FlightRecorder> NewRecorder(const fs::path& folder, int rank = 0,
                                            const std::string& launch = "launch-1") {
  return *FlightRecorder::Create(
      {.folder = folder, .rank = rank, .world_size = 2, .launch = launch});
}

RecordedCall Call(int64_t sequence, const std::string& unit = "model.layers.3") {
  return {"world", "reduce-scatter", unit, "BFloat16", sequence, 4096};
}

TEST(FlightRecorder, ACallIsReadBackWithItsStepAndItsEnd) {
  const fs::path folder = NewFolder("call");
  const auto recorder = NewRecorder(folder);
  const uint64_t before = recorder->Enter(Call(1));
  recorder->SetStep(7);
  recorder->Leave(before, CallState::kDone);
  recorder->Enter(Call(2, "model.layers.4"));
  const FlightRecord record = *ReadFlightRecord(FlightRecordPath(folder, 0));
  EXPECT_EQ(record.rank, 0);
  EXPECT_EQ(record.world_size, 2);
  EXPECT_EQ(record.launch, "launch-1");
  EXPECT_EQ(record.process_id, getpid());
  EXPECT_EQ(record.step, 7);
  ASSERT_EQ(record.calls.size(), 2u);
  EXPECT_EQ(record.calls[0].state, CallState::kDone);
  EXPECT_EQ(record.calls[0].step, -1);
  EXPECT_GE(record.calls[0].end_ns, record.calls[0].start_ns);
  const RecordedCall& open = record.calls[1];
  EXPECT_EQ(open.state, CallState::kEntered);
  EXPECT_EQ(open.end_ns, 0);
  EXPECT_EQ(open.step, 7);
  EXPECT_EQ(open.group, "world");
  EXPECT_EQ(open.collective, "reduce-scatter");
  EXPECT_EQ(open.unit, "model.layers.4");
  EXPECT_EQ(open.dtype, "BFloat16");
  EXPECT_EQ(open.sequence, 2);
  EXPECT_EQ(open.bytes, 4096);
}

TEST(FlightRecorder, TheRingKeepsTheLatestCallsOldestFirst) {
  const fs::path folder = NewFolder("ring");
  const auto recorder = NewRecorder(folder);
  const uint64_t overwritten = recorder->Enter(Call(1));
  for (int i = 2; i <= kFlightRecorderCalls + 10; ++i) recorder->Enter(Call(i));
  // Its slot is another call's by now, which must not look finished.
  recorder->Leave(overwritten, CallState::kDone);
  const FlightRecord record = *ReadFlightRecord(FlightRecordPath(folder, 0));
  ASSERT_EQ(record.calls.size(), static_cast<size_t>(kFlightRecorderCalls));
  for (int i = 0; i < kFlightRecorderCalls; ++i) {
    EXPECT_EQ(record.calls[i].sequence, 11 + i);
    EXPECT_EQ(record.calls[i].state, CallState::kEntered);
  }
}

TEST(FlightRecorder, CallsOfSeveralThreadsAreAllThere) {
  const fs::path folder = NewFolder("threads");
  const auto recorder = NewRecorder(folder);
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < 100; ++i) {
          recorder->Leave(recorder->Enter(Call(thread * 100 + i)), CallState::kDone);
        }
      });
    }
  }
  const FlightRecord record = *ReadFlightRecord(FlightRecordPath(folder, 0));
  std::set<int64_t> found;
  for (const RecordedCall& call : record.calls) {
    EXPECT_EQ(call.state, CallState::kDone);
    found.insert(call.sequence);
  }
  EXPECT_EQ(found.size(), 400u);
}

TEST(FlightRecorder, TextsThatAreTooLongAreCut) {
  const fs::path folder = NewFolder("long");
  const auto recorder = NewRecorder(folder);
  recorder->Enter(Call(1, std::string(500, 'u')));
  recorder->Fail(std::string(5000, 'f'));
  const FlightRecord record = *ReadFlightRecord(FlightRecordPath(folder, 0));
  EXPECT_EQ(record.calls.at(0).unit, std::string(95, 'u'));
  EXPECT_EQ(record.failure, std::string(1023, 'f'));
}

TEST(FlightRecorder, TheFirstLastWordStands) {
  const fs::path folder = NewFolder("status");
  const auto recorder = NewRecorder(folder);
  recorder->Fail("out of memory");
  recorder->Finish();
  recorder->Terminate("SIGTERM");
  const FlightRecord record = *ReadFlightRecord(FlightRecordPath(folder, 0));
  EXPECT_EQ(record.status, RankStatus::kFailed);
  EXPECT_EQ(record.failure, "out of memory");
}

TEST(FlightRecorder, TheHeartGoesOnBeating) {
  const fs::path folder = NewFolder("heartbeat");
  const auto recorder = NewRecorder(folder);
  const int64_t first = ReadFlightRecord(FlightRecordPath(folder, 0))->heartbeat_ns;
  // Ends with the first beat; without one the test program's time limit ends it.
  while (ReadFlightRecord(FlightRecordPath(folder, 0))->heartbeat_ns == first) {
    std::this_thread::yield();
  }
}

TEST(FlightRecorder, AProcessKilledInACallLeavesAReadableRecord) {
  const fs::path folder = NewFolder("killed");
  ChildProcess child([&](const std::function<void()>& ready) {
    const auto recorder = NewRecorder(folder, 1);
    recorder->SetStep(3);
    recorder->Enter(Call(412));
    ready();
    while (true) pause();
    return 0;
  });
  EXPECT_FALSE(ReadFlightRecords(folder)->at(0).gone);
  child.Signal(SIGKILL);
  EXPECT_EQ(child.Wait(), 128 + SIGKILL);
  const FlightRecord record = ReadFlightRecords(folder)->at(0);
  EXPECT_TRUE(record.gone);
  EXPECT_EQ(record.rank, 1);
  EXPECT_EQ(record.status, RankStatus::kRunning);
  ASSERT_EQ(record.calls.size(), 1u);
  EXPECT_EQ(record.calls[0].sequence, 412);
  EXPECT_EQ(record.calls[0].step, 3);
  EXPECT_EQ(record.calls[0].state, CallState::kEntered);
}

TEST(FlightRecorder, AFolderGivesTheRanksOfOneLaunchInOrder) {
  const fs::path folder = NewFolder("folder");
  NewRecorder(folder, 2, "an earlier one");
  const auto one = NewRecorder(folder, 1, "now");
  const auto zero = NewRecorder(folder, 0, "now");
  one->Enter(Call(1));
  zero->Enter(Call(1));
  std::ofstream(folder / "rank-9.bin") << "not a record";
  std::vector<FlightRecord> records = *ReadFlightRecords(folder, "now");
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].rank, 0);
  EXPECT_EQ(records[1].rank, 1);
  EXPECT_EQ(records[0].calls.size(), 1u);
  records = *ReadFlightRecords(folder, "now", /*calls_of_rank=*/1);
  EXPECT_TRUE(records[0].calls.empty());
  EXPECT_EQ(records[1].calls.size(), 1u);
  EXPECT_EQ(ReadFlightRecords(folder, "an earlier one")->size(), 1u);
  EXPECT_TRUE(absl::IsNotFound(ReadFlightRecords(folder / "nowhere").status()));
}

TEST(FlightRecorder, FilesThatAreNoRecordsAreRefusedByName) {
  const fs::path folder = NewFolder("damaged");
  const fs::path path = FlightRecordPath(folder, 0);
  NewRecorder(folder);
  const std::string good = *ReadFile(path);
  const auto expect_refused = [&](const std::string& content, const std::string& why) {
    ASSERT_TRUE(WriteFileAtomically(path, content).ok());
    const absl::Status status = ReadFlightRecord(path).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path.string()));
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  };
  expect_refused(good.substr(0, good.size() - 1), "found");
  expect_refused("", "");
  std::string other = good;
  other[0] = 'X';
  expect_refused(other, "not a flight record");
  // Whatever the bytes are, reading ends: texts without an end, states that don't exist.
  std::string noise = good;
  uint32_t state = 1;
  for (size_t i = 8; i < noise.size(); ++i) {
    state = state * 1664525u + 1013904223u;
    noise[i] = static_cast<char>(state >> 24);
  }
  ASSERT_TRUE(WriteFileAtomically(path, noise).ok());
  EXPECT_FALSE(ReadFlightRecord(path).ok());
}

TEST(ProcessIdentity, ADeadProcessAndAZombieDontRun) {
  EXPECT_TRUE(ProcessRuns(getpid(), ProcessStart(getpid())));
  EXPECT_FALSE(ProcessRuns(getpid(), ProcessStart(getpid()) + 1)) << "a reused id";
  const pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t info{};
  waitid(P_PID, child, &info, WEXITED | WNOWAIT);
  EXPECT_EQ(ProcessStart(child), 0) << "a zombie";
  waitpid(child, nullptr, 0);
  EXPECT_EQ(ProcessStart(child), 0) << "gone";
}

}  // namespace
}  // namespace tanren::telemetry
