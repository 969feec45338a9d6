// What every launcher promises, as tests that run on each: instantiate LauncherContract with a
// factory, in one source of a test program.
#ifndef TANREN_TESTS_COORDINATOR_LAUNCH_LAUNCHER_CONTRACT_H_
#define TANREN_TESTS_COORDINATOR_LAUNCH_LAUNCHER_CONTRACT_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/coordinator/launch/launcher_under_test.h"

namespace tanren::coordinator {

class LauncherContract : public testing::TestWithParam<LauncherFactory> {
 protected:
  LauncherContract() : under_test_(GetParam()()) {}
  Launcher& launcher() { return under_test_->launcher(); }
  PartSpec Command(uint64_t job, std::vector<std::string> argv) {
    return CommandPart(*under_test_, job, std::move(argv));
  }
  std::unique_ptr<LauncherUnderTest> under_test_;
};

TEST_P(LauncherContract, ACommandRunsAndItsEndIsReported) {
  const PartSpec part = Command(1, Shell("echo hello; echo world >&2"));
  launcher().Start(part);
  const AttemptEnd end = EndOf(launcher(), part.token());
  EXPECT_EQ(end.kind(), AttemptEnd::FINISHED) << end.ShortDebugString();
  EXPECT_EQ(LogOf(launcher(), part.token()), "hello\nworld\n");
}

TEST_P(LauncherContract, AnExitCodeSaysWhoseFaultItWas) {
  const struct {
    std::string script;
    AttemptEnd::Kind kind;
  } cases[] = {{"exit 75", AttemptEnd::SAVED},
               {"echo why; exit 3", AttemptEnd::USER_ERROR},
               {"kill -SEGV $$", AttemptEnd::INFRASTRUCTURE}};
  uint64_t job = 1;
  for (const auto& c : cases) {
    const PartSpec part = Command(job++, Shell(c.script));
    launcher().Start(part);
    const AttemptEnd end = EndOf(launcher(), part.token());
    EXPECT_EQ(end.kind(), c.kind) << c.script << ": " << end.ShortDebugString();
    if (c.kind == AttemptEnd::USER_ERROR) {
      EXPECT_EQ(end.exit_code(), 3);
      EXPECT_EQ(end.log_tail(), "why\n");
    }
  }
}

TEST_P(LauncherContract, ASecondStartOfATokenDoesNothing) {
  const std::string file = under_test_->folder() + "/runs";
  const PartSpec part = Command(1, Shell("echo run >> " + file));
  launcher().Start(part);
  launcher().Start(part);
  EndOf(launcher(), part.token());
  launcher().Start(part);
  const PartSpec reader = Command(2, {"/bin/cat", file});
  launcher().Start(reader);
  EndOf(launcher(), reader.token());
  EXPECT_EQ(LogOf(launcher(), reader.token()), "run\n");
}

TEST_P(LauncherContract, AStopEndsWhatRuns) {
  const PartSpec part = Command(1, Shell("sleep 100 & sleep 100"));
  launcher().Start(part);
  ASSERT_TRUE(Eventually([&] { return IsIn(launcher(), part.token(), PART_RUNNING); }));
  launcher().Stop(part.token(), CANCELLED_BY_USER, 2'000);
  const AttemptEnd end = EndOf(launcher(), part.token());
  EXPECT_EQ(end.kind(), AttemptEnd::STOPPED) << end.ShortDebugString();
}

TEST_P(LauncherContract, AStopRightAfterTheStartEndsIt) {
  const PartSpec part = Command(1, Shell("sleep 100"));
  launcher().Start(part);
  launcher().Stop(part.token(), CANCELLED_BY_USER, 2'000);
  const AttemptEnd end = EndOf(launcher(), part.token());
  EXPECT_TRUE(end.kind() == AttemptEnd::STOPPED || end.kind() == AttemptEnd::NEVER_STARTED)
      << end.ShortDebugString();
}

TEST_P(LauncherContract, AStartThatComesAfterTheStopDoesNothing) {
  const PartSpec part = Command(1, Shell("echo never"));
  launcher().Stop(part.token(), CANCELLED_BY_USER, 2'000);
  EXPECT_EQ(EndOf(launcher(), part.token()).kind(), AttemptEnd::NEVER_STARTED);
  launcher().Start(part);
  under_test_->Reopen();
  launcher().Start(part);
  EXPECT_EQ(EndOf(launcher(), part.token()).kind(), AttemptEnd::NEVER_STARTED);
  EXPECT_EQ(LogOf(launcher(), part.token()), "");
}

TEST_P(LauncherContract, WhatRunsAndWhatEndedIsFoundAgain) {
  const PartSpec lives = Command(1, Shell("while [ ! -e go ]; do sleep 0.05; done; echo ended"));
  const PartSpec ends = Command(2, Shell("exit 9"));
  launcher().Start(lives);
  launcher().Start(ends);
  EndOf(launcher(), ends.token());
  ASSERT_TRUE(Eventually([&] { return IsIn(launcher(), lives.token(), PART_RUNNING); }));
  under_test_->Reopen();
  EXPECT_EQ(EndOf(launcher(), ends.token()).exit_code(), 9);
  ASSERT_TRUE(Eventually([&] { return IsIn(launcher(), lives.token(), PART_RUNNING); }));
  const PartSpec opener = Command(3, {"/bin/touch", under_test_->folder() + "/job-1/go"});
  launcher().Start(opener);
  EXPECT_EQ(EndOf(launcher(), opener.token()).kind(), AttemptEnd::FINISHED);
  EXPECT_EQ(EndOf(launcher(), lives.token()).kind(), AttemptEnd::FINISHED);
  EXPECT_EQ(LogOf(launcher(), lives.token()), "ended\n");
}

TEST_P(LauncherContract, AForgottenPartIsReportedNoMore) {
  const PartSpec part = Command(1, Shell("echo kept"));
  launcher().Start(part);
  const AttemptEnd end = EndOf(launcher(), part.token());
  EXPECT_EQ(end.kind(), AttemptEnd::FINISHED) << end.ShortDebugString();
  launcher().Forget(part.token());
  EXPECT_EQ(Find(launcher(), part.token()), std::nullopt);
  EXPECT_EQ(LogOf(launcher(), part.token()), "kept\n") << "its log stays";
  under_test_->Reopen();
  EXPECT_EQ(Find(launcher(), part.token()), std::nullopt);
}

TEST_P(LauncherContract, ALogIsReadByOffsetFromTheEndAndToTheEnd) {
  const PartSpec part = Command(1, Shell("printf 'abc\\033[31mdef\\001'"));
  launcher().Start(part);
  EndOf(launcher(), part.token());
  ReadLogChunk request;
  *request.mutable_token() = part.token();
  request.set_role("trainer");
  request.set_offset(2);
  request.set_limit(4);
  absl::StatusOr<LogChunk> chunk = launcher().ReadLog(request);
  ASSERT_TRUE(chunk.ok()) << chunk.status();
  EXPECT_EQ(chunk->offset(), 2u);
  EXPECT_EQ(chunk->data(), "c\033[3") << "as written: control characters too";
  EXPECT_FALSE(chunk->end());
  request.set_tail_bytes(4);
  request.set_limit(0);
  chunk = launcher().ReadLog(request);
  ASSERT_TRUE(chunk.ok());
  EXPECT_EQ(chunk->data(), "def\001");
  EXPECT_TRUE(chunk->end());
  request.mutable_token()->set_job(77);
  EXPECT_TRUE(absl::IsNotFound(launcher().ReadLog(request).status()));
}

TEST_P(LauncherContract, AChangeIsAnnounced) {
  std::atomic<int> changes = 0;
  launcher().OnChange([&changes] { ++changes; });
  const PartSpec part = Command(1, Shell("true"));
  launcher().Start(part);
  EndOf(launcher(), part.token());
  EXPECT_TRUE(Eventually([&] { return changes > 0; }));
  launcher().OnChange(nullptr);
}

}  // namespace tanren::coordinator

#endif  // TANREN_TESTS_COORDINATOR_LAUNCH_LAUNCHER_CONTRACT_H_
