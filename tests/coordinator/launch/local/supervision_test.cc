// What ends a part, whoever is dead or stopped; and what its processes are given.
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "absl/strings/str_split.h"
#include "coordinator/launch/local/lease_page.h"
#include "coordinator/launch/log_spool.h"
#include "coordinator/launch/part_folder.h"
#include "coordinator/launch/process_table.h"
#include "runtime/base/clock.h"
#include "tests/coordinator/launch/local/local_machine.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

std::string Marker(const LocalMachine& machine, const PartSpec& part) {
  return "TANREN_EVENT_SOCKET=" + (machine.part(part.token()) / "events.sock").string();
}

size_t Living(const LocalMachine& machine, const PartSpec& part) {
  return ProcessesWithVariable(Marker(machine, part)).size();
}

pid_t SupervisorOf(const LocalMachine& machine, const PartSpec& part) {
  std::ifstream file(machine.part(part.token()) / "supervisor");
  pid_t supervisor = 0;
  file >> supervisor;
  return supervisor;
}

class Supervision : public testing::TestWithParam<bool> {
 protected:
  Supervision() : machine_("one", [](auto& options) { options.isolate = GetParam(); }) {}
  PartSpec Started(std::string script) {
    PartSpec part = CommandPart(machine_, 1, Shell(std::move(script)));
    machine_.launcher().Start(part);
    EXPECT_TRUE(Eventually([&] { return IsIn(machine_.launcher(), part.token(), PART_RUNNING); }));
    EXPECT_TRUE(Eventually([&] { return Living(machine_, part) > 0; }));
    return part;
  }
  LocalMachine machine_;
};

INSTANTIATE_TEST_SUITE_P(Local, Supervision, testing::Bool(),
                         [](const auto& info) { return info.param ? "Isolated" : "Together"; });

constexpr char kDaemonises[] = "(setsid sh -c 'trap \"\" TERM; sleep 300 & wait' &) ; sleep 300";

// The environment of a job may hold secrets, and other people have accounts on the machine.
TEST_P(Supervision, WhatAJobIsAndWhatItWritesOthersCannotRead) {
  const PartSpec part = Started("echo written; sleep 300");
  const fs::path folder = machine_.part(part.token());
  const auto others = [](const fs::path& path) {
    return static_cast<unsigned>(fs::status(path).permissions()) & 0077;
  };
  EXPECT_EQ(others(folder / "spec.pb"), 0u);
  EXPECT_EQ(others(folder / "state.pb"), 0u);
  EXPECT_EQ(others(folder / "logs"), 0u);
  EXPECT_EQ(others(folder), 0011u) << "its sockets are reached through it";
}

TEST_P(Supervision, EverythingEndsByTheDeadlineWithNobodyToWatchIt) {
  const PartSpec part = Started(kDaemonises);
  // As if the agent were killed or stopped: nobody answers from here on.
  machine_.launcher().SetDeadline(SteadyMs() + 600);
  machine_.Close();
  EXPECT_TRUE(Eventually([&] { return Living(machine_, part) == 0; }));
  machine_.Open();
  const AttemptEnd end = EndOf(machine_.launcher(), part.token());
  EXPECT_EQ(end.kind(), AttemptEnd::INFRASTRUCTURE) << end.ShortDebugString();
  EXPECT_THAT(end.message(), testing::HasSubstr("lease"));
}

TEST_P(Supervision, WhatDaemonisesEndsWithThePart) {
  const PartSpec part = Started(kDaemonises);
  EXPECT_TRUE(Eventually([&] { return Living(machine_, part) >= 3; }));
  machine_.launcher().Stop(part.token(), FENCED, 0);
  EndOf(machine_.launcher(), part.token());
  EXPECT_EQ(Living(machine_, part), 0u);
}

TEST_P(Supervision, WhatTheRankLeavesBehindEndsBeforeItsEndIsReported) {
  const PartSpec part = CommandPart(machine_, 1, Shell("(setsid sleep 300 &); exit 0"));
  machine_.launcher().Start(part);
  EXPECT_EQ(EndOf(machine_.launcher(), part.token()).kind(), AttemptEnd::FINISHED);
  EXPECT_EQ(Living(machine_, part), 0u);
}

TEST_P(Supervision, AKilledSupervisorTakesAllAlongAndThatIsReported) {
  const PartSpec part = Started(kDaemonises);
  kill(SupervisorOf(machine_, part), SIGKILL);
  const AttemptEnd end = EndOf(machine_.launcher(), part.token());
  EXPECT_EQ(end.kind(), AttemptEnd::INFRASTRUCTURE);
  EXPECT_THAT(end.message(), testing::HasSubstr("no record of its end"));
  EXPECT_EQ(Living(machine_, part), 0u);
}

TEST(Isolation, AStoppedSupervisorsPartEndsByTheDeadlineToo) {
  LocalMachine machine;
  const PartSpec part = CommandPart(machine, 1, Shell("sleep 300"));
  machine.launcher().Start(part);
  ASSERT_TRUE(Eventually([&] { return Living(machine, part) > 0; }));
  const pid_t supervisor = SupervisorOf(machine, part);
  kill(supervisor, SIGSTOP);
  machine.launcher().SetDeadline(SteadyMs() + 300);
  EXPECT_TRUE(Eventually([&] { return Living(machine, part) == 0; }));
  kill(supervisor, SIGCONT);
  EndOf(machine.launcher(), part.token());
}

TEST(Isolation, TmpIsThePartsOwnButWhatItNamesIsThere) {
  LocalMachine machine;
  const fs::path hidden =
      fs::path("/tmp") / (fs::path(machine.folder()).parent_path().filename().string() + ".hidden");
  std::ofstream(hidden) << "x";
  const PartSpec part =
      CommandPart(machine, 1, Shell("ls /tmp; echo mine > /tmp/mine; ps -e | wc -l"));
  machine.launcher().Start(part);
  EXPECT_EQ(EndOf(machine.launcher(), part.token()).kind(), AttemptEnd::FINISHED);
  const std::string log = LogOf(machine.launcher(), part.token());
  EXPECT_THAT(log, testing::Not(testing::HasSubstr("hidden")));
  EXPECT_THAT(log,
              testing::HasSubstr(fs::path(machine.folder()).parent_path().filename().string()));
  EXPECT_FALSE(fs::exists("/tmp/mine"));
  fs::remove(hidden);
}

TEST_P(Supervision, TheEnvironmentIsTheListAndNothingElse) {
  setenv("TANREN_TEST_SECRET", "of the agent", 1);
  PartSpec part = CommandPart(machine_, 4, {"/usr/bin/env"});
  part.set_array_index(7);
  (*part.mutable_spec()->mutable_environment())["WANTED"] = "a b";
  (*part.mutable_spec()->mutable_environment())["TANREN_JOB"] = "99";
  part.mutable_placements(0)->add_gpus(2);
  part.mutable_placements(0)->add_gpus(5);
  machine_.launcher().Start(part);
  EndOf(machine_.launcher(), part.token());
  std::set<std::string> names;
  const std::string log = LogOf(machine_.launcher(), part.token());
  for (const absl::string_view line : absl::StrSplit(log, '\n', absl::SkipEmpty())) {
    names.emplace(line.substr(0, line.find('=')));
  }
  EXPECT_THAT(names,
              testing::UnorderedElementsAre(
                  "PATH", "HOME", "USER", "LANG", "TMPDIR", "TANREN_LAUNCH", "TANREN_EVENT_SOCKET",
                  "TANREN_LEASE", "TANREN_JOB", "TANREN_ATTEMPT", "TANREN_ARRAY_INDEX",
                  "TANREN_ROLE", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "WANTED"));
  EXPECT_THAT(log, testing::HasSubstr("WANTED=a b\n"));
  EXPECT_THAT(log, testing::HasSubstr("TANREN_JOB=4\n")) << "a job can't take our names";
  EXPECT_THAT(log, testing::HasSubstr("TANREN_ARRAY_INDEX=7\n"));
  EXPECT_THAT(log, testing::HasSubstr("CUDA_VISIBLE_DEVICES=2,5\n"));
}

TEST_P(Supervision, AJobRunsAsItsUser) {
  PartSpec part =
      CommandPart(machine_, 1, Shell("id -un; echo x 2>/dev/null > /etc/x || echo not"));
  part.set_user("nobody");
  fs::permissions(machine_.folder(), fs::perms(0777));
  machine_.launcher().Start(part);
  const AttemptEnd end = EndOf(machine_.launcher(), part.token());
  EXPECT_EQ(end.kind(), AttemptEnd::FINISHED) << end.ShortDebugString();
  EXPECT_EQ(LogOf(machine_.launcher(), part.token()), "nobody\nnot\n");
}

TEST(Users, RootIsRefusedUnlessAllowed) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  LocalMachine machine("one", [](auto& options) { options.allow_root = false; });
  const PartSpec part = CommandPart(machine, 1, Shell("echo never"));
  machine.launcher().Start(part);
  const AttemptEnd end = EndOf(machine.launcher(), part.token());
  EXPECT_EQ(end.kind(), AttemptEnd::USER_ERROR) << end.ShortDebugString();
  EXPECT_THAT(end.message(), testing::HasSubstr("root"));
}

TEST(StateFolder, HasOneAgent) {
  LocalMachine machine;
  LocalLauncherOptions options;
  options.state = machine.state();
  options.fork_server = std::make_unique<ForkServer>(Descriptor());
  EXPECT_TRUE(absl::IsFailedPrecondition(LocalLauncher::Open(std::move(options)).status()));
}

TEST(LogSpool, OldBytesGoAndOffsetsNeverRestart) {
  const TemporaryFolder temporary;
  const fs::path path = LogPath(temporary.path(), "trainer", 0);
  LogSpool spool(path, 400);
  std::string all;
  for (int i = 0; i < 200; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    all += line;
    spool.Append(line);
  }
  EXPECT_EQ(spool.end(), all.size());
  ReadLogChunk request;
  std::string read;
  uint64_t begin = 0;
  while (true) {
    const absl::StatusOr<LogChunk> chunk = ReadSpool(path, request, true);
    ASSERT_TRUE(chunk.ok());
    if (chunk->data().empty()) break;
    EXPECT_EQ(chunk->gap(), request.offset() == 0) << "the gap is told, and only there";
    if (request.offset() == 0) begin = chunk->offset();
    read += chunk->data();
    request.set_offset(chunk->offset() + chunk->data().size());
  }
  EXPECT_GT(begin, 0u);
  EXPECT_LE(read.size(), 400u);
  EXPECT_GE(read.size(), 300u);
  EXPECT_EQ(read, all.substr(begin));
}

}  // namespace
}  // namespace tanren::coordinator
