// What a run tells of itself: through its socket, and when it tells nothing.
#include "coordinator/launch/run_progress.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "google/protobuf/util/delimited_message_util.h"
#include "runtime/telemetry/event_log.h"
#include "tests/coordinator/launch/local/local_machine.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

Event Step(int64_t step) {
  Event event;
  event.mutable_step_finished()->set_step(step);
  event.mutable_step_finished()->set_loss(2.5);
  event.mutable_step_finished()->set_tokens(100);
  event.mutable_step_finished()->set_seconds(0.5);
  return event;
}

Event Published(const std::string& path, int64_t step) {
  Event event;
  event.set_time_ns(5'000'000);
  event.mutable_checkpoint_published()->set_path(path);
  event.mutable_checkpoint_published()->set_step(step);
  return event;
}

std::string Record(const Event& event) {
  std::ostringstream stream;
  google::protobuf::util::SerializeDelimitedToOstream(event, &stream);
  return stream.str();
}

TEST(RunProgress, OnlyCheckpointsInTheAttemptsFolderCount) {
  RunProgress run(3, "/jobs/job-1/attempt-3", 0, 0);
  for (const char* path : {"/jobs/job-1/attempt-2/checkpoints/step-5", "/jobs/job-1/attempt-3",
                           "/jobs/job-1/attempt-3/../attempt-2/x", "relative",
                           // No message of the agent's with it could be read.
                           "/jobs/job-1/attempt-3/checkpoints/\xFF"}) {
    run.OnEvent(Published(path, 5), 0, 0);
    EXPECT_FALSE(run.checkpoint().has_value()) << path;
  }
  run.OnEvent(Published("/jobs/job-1/attempt-3/checkpoints/step-6", 6), 0, 0);
  ASSERT_TRUE(run.checkpoint().has_value());
  EXPECT_EQ(run.checkpoint()->step(), 6);
  EXPECT_EQ(run.checkpoint()->attempt(), 3u);
  EXPECT_EQ(run.checkpoint()->published_ms(), 5);
}

TEST(RunProgress, ARunHangsByItsOwnPaceAtLeastTwoMinutes) {
  RunProgress quick(1, "", 0, 0);
  EXPECT_FALSE(quick.IsHung(1'000'000'000)) << "before its first steps nothing is known";
  for (int i = 1; i <= 10; ++i) quick.OnEvent(Step(i), i * 1'000, 0);
  EXPECT_FALSE(quick.IsHung(10'000 + 120'000));
  EXPECT_TRUE(quick.IsHung(10'000 + 120'001));
  RunProgress slow(1, "", 0, 0);
  for (int i = 1; i <= 10; ++i) slow.OnEvent(Step(i), i * 60'000, 0);
  EXPECT_FALSE(slow.IsHung(600'000 + 600'000));
  EXPECT_TRUE(slow.IsHung(600'000 + 600'001));
}

TEST(RunProgress, AGivenTimeCountsFromTheStartAndAnyEventRestartsIt) {
  RunProgress run(1, "", 1'000, 500);
  EXPECT_FALSE(run.IsHung(1'500));
  EXPECT_TRUE(run.IsHung(1'501));
  run.OnEvent(Published("x", 1), 1'501, 0);
  EXPECT_FALSE(run.IsHung(2'501));
  Event end;
  end.mutable_run_ended()->set_message("done");
  run.OnEvent(end, 2'501, 0);
  EXPECT_FALSE(run.IsHung(9'999'999)) << "a run that has ended only has to leave";
}

TEST(EventStream, RecordsAreReadAtWhateverBytesTheyAreSplit) {
  const std::string bytes = Record(Step(1)) + Record(Step(2)) + Record(Step(3));
  for (size_t size = 1; size < bytes.size(); ++size) {
    EventStream stream;
    std::vector<int64_t> steps;
    for (size_t i = 0; i < bytes.size(); i += size) {
      ASSERT_TRUE(stream.Feed(std::string_view(bytes).substr(i, size), [&](const Event& event) {
        steps.push_back(event.step_finished().step());
      }));
    }
    EXPECT_EQ(steps, (std::vector<int64_t>{1, 2, 3}));
  }
}

TEST(EventStream, WhatIsNoRecordEndsIt) {
  const auto ignore = [](const Event&) {};
  EXPECT_FALSE(EventStream().Feed(std::string(3, '\0'), ignore));
  EXPECT_FALSE(EventStream().Feed("\xff\xff\xff\xff\x7f", ignore)) << "too long";
  EXPECT_FALSE(EventStream().Feed("\xff\xff\xff\xff\xff\xff", ignore));
}

TEST(Hang, StacksAreSavedBeforeItIsTold) {
  LocalMachine machine;
  PartSpec part = CommandPart(machine, 1, Shell("sleep 300; true"));
  part.mutable_spec()->mutable_restart()->set_hang_after_ms(300);
  machine.launcher().Start(part);
  ASSERT_TRUE(Eventually([&] {
    const auto report = Find(machine.launcher(), part.token());
    return report.has_value() && report->hung();
  }));
  std::string text;
  for (const auto& entry : fs::directory_iterator(machine.folder() + "/job-1/attempt-1/hang")) {
    std::ifstream file(entry.path());
    text.append(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  EXPECT_THAT(text, testing::HasSubstr("sleep 300"));
  EXPECT_THAT(text, testing::HasSubstr("wchan"));
  machine.launcher().Stop(part.token(), HANG, 0);
  EXPECT_EQ(EndOf(machine.launcher(), part.token()).kind(), AttemptEnd::HUNG);
}

TEST(Hang, StacksAreSavedWhereAnotherNodeSawItFirst) {
  LocalMachine machine;
  const PartSpec part = CommandPart(machine, 1, Shell("sleep 300; true"));
  machine.launcher().Start(part);
  ASSERT_TRUE(Eventually([&] { return IsIn(machine.launcher(), part.token(), PART_RUNNING); }));
  machine.launcher().Stop(part.token(), HANG, 0);
  EXPECT_EQ(EndOf(machine.launcher(), part.token()).kind(), AttemptEnd::HUNG);
  const fs::path hang = machine.folder() + "/job-1/attempt-1/hang";
  ASSERT_TRUE(fs::is_directory(hang));
  EXPECT_FALSE(fs::is_empty(hang));
}

// A program that tells steps as a worker does needs no worker: the log's writer is a library.
TEST(Progress, StepsCheckpointsAndTheEndsMessageArriveAlsoWhileTheAgentIsAway) {
  LocalMachine machine;
  const PartSpec part = CommandPart(machine, 1, Shell("while [ ! -e go ]; do sleep 0.02; done"));
  machine.launcher().Start(part);
  ASSERT_TRUE(Eventually([&] { return IsIn(machine.launcher(), part.token(), PART_RUNNING); }));
  machine.Close();
  EventSocket socket(machine.part(part.token()) / "events.sock");
  socket.Send(Record(Step(41)));
  socket.Send(Record(Published(machine.folder() + "/job-1/attempt-1/checkpoints/step-40", 40)));
  Event end;
  end.mutable_run_ended()->set_message("all said");
  socket.Send(Record(end));
  EXPECT_EQ(socket.dropped(), 0);
  machine.Open();
  ASSERT_TRUE(Eventually([&] {
    const auto report = Find(machine.launcher(), part.token());
    return report.has_value() && report->progress().step() == 41 &&
           report->checkpoint().step() == 40;
  }));
  std::ofstream(machine.folder() + "/job-1/go") << "";
  EXPECT_EQ(EndOf(machine.launcher(), part.token()).message(), "all said");
}

}  // namespace
}  // namespace tanren::coordinator
