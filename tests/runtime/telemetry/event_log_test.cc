#include "runtime/telemetry/event_log.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/file.h"

namespace tanren {
namespace {

namespace fs = std::filesystem;

Event Step(int64_t step, size_t padding = 0) {
  Event event;
  event.mutable_step_finished()->set_step(step);
  if (padding > 0)
    (*event.mutable_step_finished()->mutable_metrics())[std::string(padding, 'x')] = 1;
  return event;
}

Event Ended() {
  Event event;
  event.mutable_run_ended()->set_outcome(RunEnded::FAILED);
  return event;
}

class EventLogTest : public testing::Test {
 protected:
  void SetUp() override {
    unsetenv("TANREN_EVENT_SOCKET");
    run_ = fs::path(testing::TempDir()) /
           testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(run_);
    fs::create_directories(run_);
  }
  std::unique_ptr<EventLog> Open() {
    absl::StatusOr<std::unique_ptr<EventLog>> log = EventLog::Open(run_);
    EXPECT_TRUE(log.ok()) << log.status();
    return *std::move(log);
  }
  std::string File() const { return *ReadFile(run_ / "events.pb"); }

  fs::path run_;
};

TEST_F(EventLogTest, EventsReadBackInOrderWithSequenceTimeAndLaunch) {
  {
    const auto log = Open();
    for (int64_t step = 1; step <= 300; ++step) ASSERT_TRUE(log->Append(Step(step)).ok());
  }
  ASSERT_TRUE(Open()->Append(Step(301)).ok());
  const absl::StatusOr<EventsRead> read = ReadEvents(run_ / "events.pb");
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->events.size(), 301);
  EXPECT_EQ(read->events[299].step_finished().step(), 300);
  EXPECT_EQ(read->events[299].sequence(), 300);
  EXPECT_GE(read->events[299].time_ns(), read->events[0].time_ns());
  EXPECT_EQ(read->events[0].launch(), read->events[299].launch());
  // Another launch counts anew.
  EXPECT_NE(read->events[300].launch(), read->events[299].launch());
  EXPECT_EQ(read->events[300].sequence(), 1);
  EXPECT_EQ(read->end, File().size());
}

TEST_F(EventLogTest, AFollowerReadsOnWhereItStopped) {
  const auto log = Open();
  ASSERT_TRUE(log->Append(Step(1)).ok());
  const uint64_t end = ReadEvents(run_ / "events.pb")->end;
  ASSERT_TRUE(log->Append(Step(2)).ok());
  const absl::StatusOr<EventsRead> more = ReadEvents(run_ / "events.pb", end);
  ASSERT_EQ(more->events.size(), 1);
  EXPECT_EQ(more->events[0].step_finished().step(), 2);
  EXPECT_TRUE(absl::IsOutOfRange(ReadEvents(run_ / "events.pb", more->end + 1).status()));
}

TEST_F(EventLogTest, ARecordTornAtAnyByteIsLeftOutAndCutByTheNextWriter) {
  {
    const auto log = Open();
    ASSERT_TRUE(log->Append(Step(1)).ok());
    ASSERT_TRUE(log->Append(Step(2)).ok());
  }
  const std::string whole = File();
  const uint64_t first = whole.size() / 2;
  for (size_t size = first; size < whole.size(); ++size) {
    ASSERT_TRUE(WriteFileAtomically(run_ / "events.pb", whole.substr(0, size)).ok());
    const absl::StatusOr<EventsRead> read = ReadEvents(run_ / "events.pb");
    ASSERT_EQ(read->events.size(), 1) << size;
    EXPECT_EQ(read->torn_bytes, size - read->end);
    ASSERT_TRUE(Open()->Append(Step(3)).ok());
    const absl::StatusOr<EventsRead> after = ReadEvents(run_ / "events.pb");
    ASSERT_EQ(after->events.size(), 2) << size;
    EXPECT_EQ(after->events[1].step_finished().step(), 3);
    EXPECT_EQ(after->torn_bytes, 0);
  }
}

TEST_F(EventLogTest, ZerosAndHugeLengthsAreNoRecords) {
  ASSERT_TRUE(Open()->Append(Step(1)).ok());
  const std::string whole = File();
  for (const std::string& damage :
       {std::string(64, '\0'), std::string("\xff\xff\xff\xff\x0f", 5), std::string(64, '\xff')}) {
    ASSERT_TRUE(WriteFileAtomically(run_ / "events.pb", whole + damage).ok());
    const absl::StatusOr<EventsRead> read = ReadEvents(run_ / "events.pb");
    EXPECT_EQ(read->events.size(), 1);
    EXPECT_EQ(read->torn_bytes, damage.size());
  }
}

TEST_F(EventLogTest, ASecondWriterIsRefused) {
  const auto log = Open();
  EXPECT_TRUE(absl::IsFailedPrecondition(EventLog::Open(run_).status()));
}

TEST_F(EventLogTest, TheLastWordOfALaunchStandsBehindItsWriterAliveOrGone) {
  std::string launch;
  {
    const auto log = Open();
    launch = log->launch();
    ASSERT_TRUE(log->Append(Step(1)).ok());
    ASSERT_TRUE((*EventLog::Join(run_, launch))->Append(Step(2)).ok());
    EXPECT_TRUE(EventLog::IsOpen(run_)) << "the writer's";
  }
  // What a writer that was killed left isn't in the way.
  ASSERT_TRUE(WriteFileAtomically(run_ / "events.pb", File() + "\x7f torn").ok());
  ASSERT_TRUE((*EventLog::Join(run_, launch))->Append(Step(3)).ok());
  ASSERT_TRUE((*EventLog::Join(run_, "another"))->Append(Step(4)).ok());
  const absl::StatusOr<EventsRead> read = ReadEvents(run_ / "events.pb");
  ASSERT_EQ(read->events.size(), 4);
  EXPECT_EQ(read->torn_bytes, 0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(read->events[i].sequence(), i + 1);
    EXPECT_EQ(read->events[i].launch(), launch);
  }
  EXPECT_EQ(read->events[3].sequence(), 1);
}

TEST_F(EventLogTest, NothingFollowsTheEndThatAnotherProcessWrote) {
  const auto log = Open();
  ASSERT_TRUE(log->Append(Step(1)).ok());
  ASSERT_TRUE((*EventLog::Join(run_, "another"))->Append(Ended()).ok());
  ASSERT_TRUE(log->Append(Step(2)).ok());
  ASSERT_TRUE((*EventLog::Join(run_, log->launch()))->Append(Ended()).ok());
  ASSERT_TRUE(log->Append(Step(3)).ok()) << "it is dropped";
  const absl::StatusOr<EventsRead> read = ReadEvents(run_ / "events.pb");
  ASSERT_EQ(read->events.size(), 4) << "another launch's end is none of this one";
  EXPECT_EQ(read->events[2].sequence(), 2);
  EXPECT_TRUE(read->events[3].has_run_ended());
  EXPECT_EQ(read->events[3].sequence(), 3);
}

TEST_F(EventLogTest, WhetherItIsOpenCanBeSeenByOthersAndHindersNobody) {
  EXPECT_FALSE(EventLog::IsOpen(run_));
  {
    const auto log = Open();
    EXPECT_TRUE(EventLog::IsOpen(run_));
    EXPECT_TRUE(EventLog::IsOpen(run_));
  }
  EXPECT_FALSE(EventLog::IsOpen(run_));
  EXPECT_TRUE(EventLog::Open(run_).ok());
}

TEST_F(EventLogTest, AClearedLogHoldsOnlyWhatComesAfter) {
  const auto log = Open();
  ASSERT_TRUE(log->Append(Event()).ok());
  ASSERT_TRUE(log->Clear().ok());
  ASSERT_TRUE(log->Append(Event()).ok());
  const absl::StatusOr<EventsRead> read = ReadEvents(run_ / "events.pb");
  ASSERT_EQ(read->events.size(), 1);
  EXPECT_EQ(read->events[0].sequence(), 2);
  EXPECT_EQ(read->torn_bytes, 0);
}

// Listens, as a program that starts a run would.
class Listener {
 public:
  explicit Listener(const fs::path& path) : descriptor_(socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(bind(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(descriptor_, 4), 0);
  }
  ~Listener() { close(descriptor_); }
  int Accept() const { return accept(descriptor_, nullptr, nullptr); }

 private:
  int descriptor_;
};

std::string ReadAll(int descriptor) {
  std::string result(1 << 22, '\0');
  size_t size = 0;
  ssize_t got = 0;
  while ((got = recv(descriptor, result.data() + size, result.size() - size, 0)) > 0) {
    size += static_cast<size_t>(got);
  }
  result.resize(size);
  return result;
}

TEST_F(EventLogTest, TheSocketGetsTheSameBytesAsTheFile) {
  const Listener listener(run_ / "s");
  setenv("TANREN_EVENT_SOCKET", (run_ / "s").c_str(), 1);
  auto log = Open();
  ASSERT_TRUE(log->Append(Step(1)).ok());
  ASSERT_TRUE(log->Append(Step(2)).ok());
  EXPECT_EQ(log->dropped(), 0);
  const int connection = listener.Accept();
  log.reset();
  EXPECT_EQ(ReadAll(connection), File());
  close(connection);
}

TEST_F(EventLogTest, AReaderThatDoesNotReadDropsWholeEventsAndNeverBlocks) {
  const Listener listener(run_ / "s");
  setenv("TANREN_EVENT_SOCKET", (run_ / "s").c_str(), 1);
  auto log = Open();
  constexpr int kEvents = 400;
  for (int step = 1; step <= kEvents; ++step) ASSERT_TRUE(log->Append(Step(step, 5000)).ok());
  const int64_t dropped = log->dropped();
  EXPECT_GT(dropped, 0);
  EXPECT_LT(dropped, kEvents);
  EXPECT_EQ(ReadEvents(run_ / "events.pb")->events.size(), kEvents);
  // Once it reads, events come again, and what came is whole.
  const int connection = listener.Accept();
  std::string received(1 << 20, '\0');
  received.resize(static_cast<size_t>(recv(connection, received.data(), received.size(), 0)));
  ASSERT_TRUE(log->Append(Step(kEvents + 1)).ok());
  log.reset();
  received += ReadAll(connection);
  close(connection);
  ASSERT_TRUE(WriteFileAtomically(run_ / "received.pb", received).ok());
  const absl::StatusOr<EventsRead> read = ReadEvents(run_ / "received.pb");
  EXPECT_EQ(read->torn_bytes, 0);
  EXPECT_GE(read->events.size(), kEvents - dropped);
  EXPECT_EQ(read->events.back().step_finished().step(), kEvents + 1);
}

TEST_F(EventLogTest, AReaderThatComesLateOrDiesLosesOnlyTheEventsMeanwhile) {
  setenv("TANREN_EVENT_SOCKET", (run_ / "s").c_str(), 1);
  auto log = Open();
  ASSERT_TRUE(log->Append(Step(1)).ok());
  EXPECT_EQ(log->dropped(), 1);
  {
    const Listener listener(run_ / "s");
    ASSERT_TRUE(log->Append(Step(2)).ok());
    close(listener.Accept());
  }
  ASSERT_TRUE(log->Append(Step(3)).ok());
  EXPECT_EQ(log->dropped(), 2);
  fs::remove(run_ / "s");
  const Listener again(run_ / "s");
  ASSERT_TRUE(log->Append(Step(4)).ok());
  EXPECT_EQ(log->dropped(), 2);
  const int connection = again.Accept();
  log.reset();
  EXPECT_FALSE(ReadAll(connection).empty());
  close(connection);
}

}  // namespace
}  // namespace tanren
