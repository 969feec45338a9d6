// Worker groups under a real mpirun, on one node and on "two nodes": launchers with folders and
// namespaces of their own on this machine.
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/launch/local/shell_words.h"
#include "tests/coordinator/launch/local/local_machine.h"

namespace tanren::coordinator {
namespace {

// A job of `ranks` ranks on each of the nodes.
PartSpec GangPart(const LauncherUnderTest& head, const std::vector<std::string>& nodes, int ranks,
                  std::string script) {
  PartSpec part = CommandPart(head, 1, Shell(std::move(script)));
  part.mutable_spec()->mutable_roles(0)->set_ranks(ranks * static_cast<int>(nodes.size()));
  part.clear_placements();
  for (const std::string& node : nodes) {
    Placement& placement = *part.add_placements();
    placement.set_node(node);
    placement.set_role("trainer");
    placement.set_first_rank(ranks * (part.placements_size() - 1));
    placement.set_ranks(ranks);
    (*part.mutable_addresses())[node] = "127.0.0.1";
  }
  return part;
}

// Says of each launcher what the coordinator would pass between their agents.
class TwoNodes {
 public:
  TwoNodes()
      : head("one",
             [this](auto& options) {
               options.on_remote_start = [this](const RemoteStart& start) {
                 const std::lock_guard lock(mutex_);
                 starts_.emplace_back([this, start] {
                   const absl::Status status = other.launcher().StartRemote(
                       start, [this](const RemoteEnd& end) { head.launcher().OnRemoteEnd(end); });
                   EXPECT_TRUE(status.ok()) << status;
                 });
               };
             }),
        other("two") {}
  ~TwoNodes() { WaitForStarts(); }

  void Reopen() {
    WaitForStarts();
    head.Reopen();
    other.Reopen();
  }

 private:
  void WaitForStarts() {
    std::vector<std::thread> starts;
    {
      const std::lock_guard lock(mutex_);
      starts.swap(starts_);
    }
    for (std::thread& start : starts) start.join();
  }

  std::mutex mutex_;
  std::vector<std::thread> starts_;  // guarded by mutex_

 public:
  LocalMachine head;
  LocalMachine other;
};

TEST(Gang, RanksOfOneNodeHaveALogEachAndTheirNumbers) {
  LocalMachine machine;
  const PartSpec part =
      GangPart(machine, {"one"}, 3, "echo rank $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE");
  machine.launcher().Start(part);
  const AttemptEnd end = EndOf(machine.launcher(), part.token());
  EXPECT_EQ(end.kind(), AttemptEnd::FINISHED)
      << end.ShortDebugString() << LogOf(machine.launcher(), part.token(), -1);
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(LogOf(machine.launcher(), part.token(), rank),
              "rank " + std::to_string(rank) + " of 3\n");
  }
}

TEST(Gang, TheRankThatFailsFirstIsNamedAndTheOthersEnd) {
  LocalMachine machine;
  const PartSpec part =
      GangPart(machine, {"one"}, 2,
               "if [ $OMPI_COMM_WORLD_RANK = 1 ]; then echo broken; exit 5; else sleep 100; fi");
  machine.launcher().Start(part);
  const AttemptEnd end = EndOf(machine.launcher(), part.token());
  EXPECT_EQ(end.kind(), AttemptEnd::USER_ERROR) << end.ShortDebugString();
  EXPECT_EQ(end.rank(), 1);
  EXPECT_EQ(end.exit_code(), 5);
  EXPECT_EQ(end.log_tail(), "broken\n");
}

TEST(Gang, AKilledRankIsASignalFromOutside) {
  LocalMachine machine;
  const PartSpec part = GangPart(
      machine, {"one"}, 2, "if [ $OMPI_COMM_WORLD_RANK = 1 ]; then kill -9 $$; else sleep 100; fi");
  machine.launcher().Start(part);
  const AttemptEnd end = EndOf(machine.launcher(), part.token());
  EXPECT_EQ(end.kind(), AttemptEnd::INFRASTRUCTURE) << end.ShortDebugString();
  EXPECT_EQ(end.rank(), 1);
  EXPECT_EQ(end.signal(), 9);
}

TEST(Gang, AStopWithGraceReachesEveryRankAsSigusr1) {
  LocalMachine machine;
  const PartSpec part =
      GangPart(machine, {"one"}, 2,
               "trap 'echo saved; exit 75' USR1; echo ready; while true; do sleep 0.05; done");
  machine.launcher().Start(part);
  ASSERT_TRUE(Eventually([&] {
    return LogOf(machine.launcher(), part.token(), 0) == "ready\n" &&
           LogOf(machine.launcher(), part.token(), 1) == "ready\n";
  }));
  machine.launcher().Stop(part.token(), PREEMPTED, 10'000);
  const AttemptEnd end = EndOf(machine.launcher(), part.token());
  EXPECT_EQ(end.kind(), AttemptEnd::SAVED) << end.ShortDebugString();
}

TEST(Gang, OneMpirunRunsOverTwoNodesThroughTheirAgents) {
  TwoNodes nodes;
  const PartSpec part = GangPart(nodes.head, {"one", "two"}, 2,
                                 "echo rank $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE");
  nodes.other.launcher().Start(part);
  nodes.head.launcher().Start(part);
  const AttemptEnd end = EndOf(nodes.head.launcher(), part.token());
  EXPECT_EQ(end.kind(), AttemptEnd::FINISHED)
      << end.ShortDebugString() << LogOf(nodes.head.launcher(), part.token(), -1);
  const AttemptEnd other = EndOf(nodes.other.launcher(), part.token());
  EXPECT_EQ(other.kind(), AttemptEnd::FINISHED)
      << other.ShortDebugString() << LogOf(nodes.other.launcher(), part.token(), -1);
  EXPECT_EQ(LogOf(nodes.head.launcher(), part.token(), 1), "rank 1 of 4\n");
  EXPECT_EQ(LogOf(nodes.other.launcher(), part.token(), 2), "rank 2 of 4\n");
  EXPECT_EQ(LogOf(nodes.other.launcher(), part.token(), 3), "rank 3 of 4\n");
}

TEST(Gang, ARankThatFailsOnAnotherNodeIsNamedThere) {
  TwoNodes nodes;
  const PartSpec part =
      GangPart(nodes.head, {"one", "two"}, 1,
               "if [ $OMPI_COMM_WORLD_RANK = 1 ]; then echo far; exit 4; else sleep 100; fi");
  nodes.head.launcher().Start(part);
  // (Its agent may hear of the part after the head's request has come.)
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  nodes.other.launcher().Start(part);
  const AttemptEnd far = EndOf(nodes.other.launcher(), part.token());
  EXPECT_EQ(far.kind(), AttemptEnd::USER_ERROR) << far.ShortDebugString();
  EXPECT_EQ(far.rank(), 1);
  EXPECT_EQ(far.log_tail(), "far\n");
  const AttemptEnd end = EndOf(nodes.head.launcher(), part.token());
  EXPECT_EQ(end.kind(), AttemptEnd::USER_ERROR) << end.ShortDebugString();
  EXPECT_EQ(end.exit_code(), 4);
}

TEST(Gang, AgentsThatComeBackFindTheirGangAndItsRemoteShellWaitsOn) {
  TwoNodes nodes;
  const PartSpec part =
      GangPart(nodes.head, {"one", "two"}, 1,
               "while [ ! -e " + nodes.head.folder() + "/go ]; do sleep 0.05; done");
  nodes.other.launcher().Start(part);
  nodes.head.launcher().Start(part);
  ASSERT_TRUE(Eventually([&] { return IsIn(nodes.head.launcher(), part.token(), PART_RUNNING); }));
  // (Its rank has begun, so its log is there.)
  nodes.Reopen();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_TRUE(IsIn(nodes.head.launcher(), part.token(), PART_RUNNING));
  std::ofstream(nodes.head.folder() + "/go") << "";
  EXPECT_EQ(EndOf(nodes.head.launcher(), part.token()).kind(), AttemptEnd::FINISHED);
}

TEST(ShellWords, QuotesAreTakenAndEverythingWithAMeaningIsRefused) {
  const auto words = ShellWords(" orted -mca ess \"env\" -mca x 'a b'\"c,[3:24](2)\" --n=1");
  ASSERT_TRUE(words.ok()) << words.status();
  EXPECT_EQ(*words, (std::vector<std::string>{"orted", "-mca", "ess", "env", "-mca", "x",
                                              "a bc,[3:24](2)", "--n=1"}));
  for (const char* text : {"a;b", "a|b", "a&b", "$(a)", "`a`", "\"$a\"", "\"a\\\"b\"", "'a", "a>b",
                           "a<b", "a*", "a\nb", "~", "a(b)", "{a}", "a!b", "a#b", "\"a\nb\""}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ShellWords(text).status())) << text;
  }
}

}  // namespace
}  // namespace tanren::coordinator
