// Whose fault an end is: a table of situations.
#include "coordinator/launch/local/part_end.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tanren::coordinator {
namespace {

ProcessEnd Code(int rank, int code) { return {.role = "trainer", .rank = rank, .exit_code = code}; }
ProcessEnd Signal(int rank, int signal) {
  return {.role = "trainer", .rank = rank, .signal = signal};
}
ProcessEnd Mpirun(int code) { return {.role = "trainer", .exit_code = code, .is_mpirun = true}; }

struct Situation {
  const char* what;
  bool is_recipe;
  std::vector<ProcessEnd> ends;
  StopReason stop;
  AttemptEnd::Kind kind;
  int rank;
};

TEST(PartEnd, FollowsFromWhoEndedFirstAndHow) {
  const Situation situations[] = {
      {"all well", true, {Code(0, 0), Code(1, 0), Mpirun(0)}, {}, AttemptEnd::FINISHED, -1},
      {"saved", true, {Code(0, 75), Code(1, 75), Mpirun(75)}, PREEMPTED, AttemptEnd::SAVED, -1},
      {"the recipe is wrong", true, {Code(0, 1)}, {}, AttemptEnd::USER_ERROR, 0},
      {"the model is wrong",
       true,
       {Code(1, 70), Code(0, 71), Mpirun(70)},
       {},
       AttemptEnd::USER_ERROR,
       1},
      {"followers are heard first",
       true,
       {Code(0, 71), Code(1, 70), Mpirun(71)},
       {},
       AttemptEnd::USER_ERROR,
       1},
      {"only followers are here", true, {Code(0, 71)}, {}, AttemptEnd::INFRASTRUCTURE, 0},
      {"a rank was killed",
       true,
       {Signal(1, 9), Code(0, 71), Mpirun(137)},
       {},
       AttemptEnd::INFRASTRUCTURE,
       1},
      {"a rank elsewhere failed",
       false,
       {Signal(0, 15), Mpirun(4)},
       {},
       AttemptEnd::USER_ERROR,
       -1},
      {"a command fails", false, {Code(0, 71)}, {}, AttemptEnd::USER_ERROR, 0},
      {"a command's shell tells of a signal",
       false,
       {Code(0, 139)},
       {},
       AttemptEnd::INFRASTRUCTURE,
       0},
      {"ended as asked", true, {Code(0, 143)}, CANCELLED_BY_USER, AttemptEnd::STOPPED, 0},
      {"done before it could be asked",
       true,
       {Code(0, 0)},
       CANCELLED_BY_USER,
       AttemptEnd::FINISHED,
       -1},
      {"hung", true, {Signal(0, 9)}, HANG, AttemptEnd::HUNG, 0},
      {"nothing of it ran here", true, {}, PART_FAILED, AttemptEnd::STOPPED, -1},
  };
  for (const Situation& s : situations) {
    const AttemptEnd end =
        EndOfPart({.is_recipe = s.is_recipe, .node = "one", .ends = s.ends, .stop = s.stop});
    EXPECT_EQ(end.kind(), s.kind) << s.what << ": " << end.ShortDebugString();
    EXPECT_EQ(end.rank(), s.rank) << s.what << ": " << end.ShortDebugString();
  }
}

TEST(PartEnd, AProgramThatIsNotThereIsTheUsersAndAFolderThatIsNotIsTheNodes) {
  ProcessEnd end = Code(0, 127);
  end.refusal = "/nowhere: can't be started";
  end.blame = AttemptEnd::USER_ERROR;
  EXPECT_EQ(EndOfPart({.ends = {end}}).kind(), AttemptEnd::USER_ERROR);
  EXPECT_THAT(EndOfPart({.ends = {end}}).message(), testing::HasSubstr("/nowhere"));
  end.blame = AttemptEnd::INFRASTRUCTURE;
  EXPECT_EQ(EndOfPart({.ends = {end}}).kind(), AttemptEnd::INFRASTRUCTURE);
}

TEST(PartEnd, WhatTheRunSaysOfItsEndIsPassedOn) {
  EXPECT_THAT(
      EndOfPart({.is_recipe = true, .ends = {Code(1, 70)}, .run_ended = "rank 1: no such file"})
          .message(),
      testing::HasSubstr("no such file"));
  EXPECT_EQ(EndOfPart({.ends = {Signal(0, 9)}, .lease_passed = true}).kind(),
            AttemptEnd::INFRASTRUCTURE);
}

}  // namespace
}  // namespace tanren::coordinator
