#include "coordinator/agent/machine_node.h"

#include <filesystem>
#include <string>

#include "coordinator/agent/log_requests.h"
#include "coordinator/agent/outbox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "tests/coordinator/client/fake_coordinator.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Machine BigMachine() {
  Machine machine;
  machine.affinity_cores = 16;
  machine.cpu.logical_cores = 16;
  machine.memory.total = uint64_t{64} << 30;
  for (int i = 0; i < 4; ++i) {
    GpuInfo gpu;
    gpu.name = "H100";
    gpu.memory_bytes = uint64_t{80} << 30;
    gpu.island = i / 2;
    machine.gpus.gpus.push_back(gpu);
  }
  return machine;
}

TEST(MachineNode, IsWhatIsFound) {
  Machine machine = BigMachine();
  machine.cgroup.memory = uint64_t{32} << 30;
  NodeOptions options;
  options.name = "t1";
  const Node node = ValueOrThrow(NodeOf(machine, options, "127.0.0.1:7411"));
  EXPECT_EQ(node.cpu_millis(), 16'000);
  EXPECT_EQ(node.memory_bytes(), int64_t{32} << 30);  // what its group may have
  ASSERT_EQ(node.gpus_size(), 4);
  EXPECT_EQ(node.gpus(3).island(), 1);
  EXPECT_EQ(node.address(), "127.0.0.1");
}

TEST(MachineNode, ItsKeyIsMadeOnceAndIsItsOwn) {
  const TemporaryFolder one;
  const TemporaryFolder other;
  const std::string key = ValueOrThrow(NodeKey(one.path()));
  EXPECT_EQ(key.size(), 64u);
  EXPECT_EQ(ValueOrThrow(NodeKey(one.path())), key);
  EXPECT_NE(ValueOrThrow(NodeKey(other.path())), key);
  const std::filesystem::path file = one.path() / "node.key";
  EXPECT_EQ(std::filesystem::status(file).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  std::filesystem::permissions(file, std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  EXPECT_EQ(NodeKey(one.path()).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST(MachineNode, TheCommandLineMayGiveLessOrMakeGpusUp) {
  NodeOptions options;
  options.name = "t1";
  options.cpus = 1.5;
  options.gpus = 2;
  options.labels = {"disk=fast"};
  const Node node = ValueOrThrow(NodeOf(BigMachine(), options, "127.0.0.1:7411"));
  EXPECT_EQ(node.cpu_millis(), 1500);
  EXPECT_EQ(node.gpus_size(), 2);
  EXPECT_EQ(node.labels().at("disk"), "fast");
  options.gpus = 6;
  EXPECT_EQ(ValueOrThrow(NodeOf(BigMachine(), options, "127.0.0.1:7411")).gpus(5).index(), 5);
}

TEST(MachineNode, RefusesWhatCannotBeAName) {
  NodeOptions options;
  options.name = "a b";
  EXPECT_THAT(std::string(NodeOf(BigMachine(), options, "").status().message()),
              HasSubstr("--name: found \"a b\""));
  options.name = "a";
  options.labels = {"x y=1"};
  EXPECT_FALSE(NodeOf(BigMachine(), options, "").ok());
}

TEST(MachineNode, GivesOnlyVisibleGpus) {
  EXPECT_THAT(VisibleGpus("", 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(VisibleGpus("2,0", 3), ElementsAre(2, 0));
  EXPECT_THAT(VisibleGpus("-1", 3), IsEmpty());
  EXPECT_THAT(VisibleGpus("0,7,1", 3), ElementsAre(0));  // as CUDA reads it
  EXPECT_THAT(VisibleGpus("GPU-8932f937", 2), ElementsAre(0, 1));
}

TEST(MachineNode, AStateFolderKeepsItsIncarnation) {
  TestFolder folder;
  const std::string first = ValueOrThrow(Incarnation(folder.path()));
  EXPECT_EQ(ValueOrThrow(Incarnation(folder.path())), first);
  std::filesystem::remove(folder.path() / "incarnation");
  EXPECT_NE(ValueOrThrow(Incarnation(folder.path())), first);
}

// ---- What waits
// ----------------------------------------------------------------------------------

class OneLog final : public Launcher {
 public:
  absl::StatusOr<LogChunk> ReadLog(const ReadLogChunk&) override { return chunk; }
  void Start(const PartSpec&) override {}
  void Stop(const AttemptToken&, StopReason, int64_t) override {}
  void Forget(const AttemptToken&) override {}
  std::vector<PartReport> Parts() override { return {}; }
  void SetDeadline(int64_t) override {}
  absl::Status StartRemote(const RemoteStart&, std::function<void(const RemoteEnd&)>) override {
    return absl::OkStatus();
  }
  void OnChange(std::function<void()>) override {}

  absl::StatusOr<LogChunk> chunk = LogChunk();
};

ReadLogChunk Question(bool wait) {
  ReadLogChunk question;
  question.set_request(5);
  question.set_wait(wait);
  return question;
}

TEST(LogRequests, WaitUntilThereIsSomething) {
  OneLog launcher;
  LogRequests requests(launcher);
  EXPECT_THAT(requests.Add(Question(true), 1000), IsEmpty());
  EXPECT_EQ(requests.NextCall(), 1000 + LogRequests::kLookEveryMs);
  EXPECT_THAT(requests.Look(1200), IsEmpty());
  launcher.chunk->set_data("x");
  const auto answers = requests.Look(1400);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].request(), 5u);
  EXPECT_EQ(answers[0].data(), "x");
  EXPECT_THAT(requests.Look(1600), IsEmpty());
}

TEST(LogRequests, AreAnsweredEmptyWhenNothingComes) {
  OneLog launcher;
  LogRequests requests(launcher);
  requests.Add(Question(true), 1000);
  EXPECT_THAT(requests.Look(1000 + LogRequests::kLongestWaitMs - 1), IsEmpty());
  EXPECT_EQ(requests.Look(1000 + 2 * LogRequests::kLongestWaitMs).size(), 1u);
}

TEST(LogRequests, ThatDontWaitAreAnsweredAtOnce) {
  OneLog launcher;
  LogRequests requests(launcher);
  EXPECT_EQ(requests.Add(Question(false), 1000).size(), 1u);
  launcher.chunk = absl::NotFoundError("no such part");
  const auto answers = requests.Add(Question(false), 1000);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].error(), "no such part");
}

TEST(LogRequests, ThatAreTooManyDontWait) {
  OneLog launcher;
  LogRequests requests(launcher);
  for (size_t i = 0; i < LogRequests::kMostWaiting; ++i) {
    ASSERT_THAT(requests.Add(Question(true), 1000), IsEmpty());
  }
  EXPECT_EQ(requests.Add(Question(true), 1000).size(), 1u);
}

TEST(Outbox, KeepsTheNewestAndNotMoreThanItsLimit) {
  Wake wake;
  Outbox outbox(wake);
  for (size_t i = 0; i < Outbox::kMost + 2; ++i) {
    AgentMessage message;
    message.mutable_remote_end()->set_request(i);
    outbox.Put(std::move(message));
  }
  const auto messages = outbox.Take();
  EXPECT_EQ(messages.size(), Outbox::kMost);
  EXPECT_EQ(messages.front().remote_end().request(), 2u);
  EXPECT_THAT(outbox.Take(), IsEmpty());
}

}  // namespace
}  // namespace tanren::coordinator
