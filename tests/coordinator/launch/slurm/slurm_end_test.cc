#include "coordinator/launch/slurm/slurm_end.h"

#include <csignal>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tanren::coordinator {
namespace {

using testing::HasSubstr;

SlurmRankExit Rank(int32_t rank, int32_t code, int32_t signal, int64_t ended_ms) {
  SlurmRankExit exit;
  exit.set_role("trainer");
  exit.set_rank(rank);
  exit.set_node("t1");
  exit.set_exit_code(code);
  exit.set_signal(signal);
  exit.set_ended_ms(ended_ms);
  return exit;
}

AttemptEnd::Kind KindOfState(const std::string& state) {
  SlurmJobFound found;
  found.state = state;
  return EndOfSlurmJob(found).kind();
}

TEST(SlurmEnd, TheRankThatFailedFirstIsBlamed) {
  SlurmRunFound found;
  found.exit_code = 71;
  found.ranks = {Rank(0, 71, 0, 10), Rank(1, 0, 0, 5), Rank(2, 137, 9, 20), Rank(3, 143, 15, 30)};
  const AttemptEnd end = EndOfSlurmRun(found);
  EXPECT_EQ(end.rank(), 2);
  EXPECT_EQ(end.signal(), 9);
  EXPECT_EQ(end.kind(), AttemptEnd::INFRASTRUCTURE);
  EXPECT_THAT(end.message(), HasSubstr("on t1"));
}

TEST(SlurmEnd, ARankThatWasToldToEndIsntBlamedForAnotherWhateverItsNodesClockSays) {
  SlurmRunFound found;
  found.exit_code = 3;
  found.ranks = {Rank(0, 137, 9, 10), Rank(1, 3, 0, 20)};
  found.ranks[0].set_told_to_end(true);
  EXPECT_EQ(EndOfSlurmRun(found).rank(), 1);
  found.ranks[1].set_told_to_end(true);
  EXPECT_EQ(EndOfSlurmRun(found).rank(), 0);
}

TEST(SlurmEnd, TheWorkersExitCodesAreKnown) {
  SlurmRunFound found;
  EXPECT_EQ(EndOfSlurmRun(found).kind(), AttemptEnd::FINISHED);
  found.exit_code = 75;
  found.ranks = {Rank(0, 75, 0, 10)};
  EXPECT_EQ(EndOfSlurmRun(found).kind(), AttemptEnd::SAVED);
  for (int code : {1, 70}) {
    found.exit_code = code;
    found.ranks = {Rank(0, code, 0, 10)};
    EXPECT_EQ(EndOfSlurmRun(found).kind(), AttemptEnd::USER_ERROR) << code;
  }
  found.ranks.clear();
  EXPECT_EQ(EndOfSlurmRun(found).kind(), AttemptEnd::INFRASTRUCTURE) << "mpirun's own failure";
}

TEST(SlurmEnd, SlurmsStatesAreTold) {
  EXPECT_EQ(KindOfState("NODE_FAIL"), AttemptEnd::INFRASTRUCTURE);
  EXPECT_EQ(KindOfState("TIMEOUT"), AttemptEnd::INFRASTRUCTURE);
  EXPECT_EQ(KindOfState("PREEMPTED"), AttemptEnd::INFRASTRUCTURE);
  EXPECT_EQ(KindOfState("OUT_OF_MEMORY"), AttemptEnd::USER_ERROR);
  EXPECT_EQ(KindOfState("CANCELLED"), AttemptEnd::USER_ERROR);
  EXPECT_EQ(KindOfState("COMPLETED"), AttemptEnd::INFRASTRUCTURE) << "it left no record";
  EXPECT_EQ(KindOfState(""), AttemptEnd::INFRASTRUCTURE);
}

TEST(SlurmEnd, WhatTheRanksLeftCountsBeforeSlurmsState) {
  SlurmJobFound found;
  found.state = "TIMEOUT";
  found.exit.emplace();
  found.exit->mutable_end()->set_kind(AttemptEnd::SAVED);
  found.exit->set_ended_by_slurm(true);
  EXPECT_EQ(EndOfSlurmJob(found).kind(), AttemptEnd::SAVED);
  // They only say that Slurm ended them: then its state says why.
  found.exit->mutable_end()->set_kind(AttemptEnd::INFRASTRUCTURE);
  EXPECT_THAT(EndOfSlurmJob(found).message(), HasSubstr("time limit"));
  found.stop = CANCELLED_BY_USER;
  EXPECT_EQ(EndOfSlurmJob(found).kind(), AttemptEnd::STOPPED);
}

TEST(SlurmEnd, ARankThatTheKernelKilledForItsMemoryIsTheUsersError) {
  SlurmJobFound found;
  found.state = "OUT_OF_MEMORY";
  found.exit.emplace();
  AttemptEnd& end = *found.exit->mutable_end();
  end.set_kind(AttemptEnd::INFRASTRUCTURE);
  end.set_signal(SIGKILL);
  end.set_exit_code(137);
  end.set_rank(1);
  end.set_log_tail("the last line\n");
  const AttemptEnd told = EndOfSlurmJob(found);
  EXPECT_EQ(told.kind(), AttemptEnd::USER_ERROR);
  EXPECT_THAT(told.message(), HasSubstr("memory"));
  EXPECT_EQ(told.rank(), 1);
  EXPECT_EQ(told.log_tail(), "the last line\n");
  // Something else ended it, and then Slurm found memory short.
  end.set_signal(SIGSEGV);
  EXPECT_EQ(EndOfSlurmJob(found).kind(), AttemptEnd::INFRASTRUCTURE);
}

}  // namespace
}  // namespace tanren::coordinator
