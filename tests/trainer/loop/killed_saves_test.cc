// Trainings that are killed at random moments while they save beside their steps.
#include <ATen/Parallel.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "parallel/checkpoint/checkpoint_folder.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/comm/local.h"
#include "tests/temporary_folder.h"
#include "tests/trainer/loop/small_training.h"
#include "trainer/loop/checkpointing.h"

namespace tanren::trainer {
namespace {

namespace fs = std::filesystem;
using std::chrono::microseconds;

// Killed processes lose nothing that was written, in memory as on a disk, and thousands of files
// that each wait for a disk take minutes.
class MemoryFolder : public TemporaryFolder {
 public:
  MemoryFolder()
      : TemporaryFolder(access("/dev/shm", W_OK) == 0 ? fs::path("/dev/shm")
                                                      : fs::temp_directory_path()) {}
};

constexpr int kRanks = 2;
constexpr int64_t kSteps = 30;
// What a write takes on a real disk; so that saves and steps overlap.
constexpr auto kWrite = microseconds(300);

int64_t NumberFrom(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoll(text);
}

// All bytes of a checkpoint, by file.
std::map<std::string, std::string> FilesOf(const fs::path& checkpoint) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(checkpoint)) {
    files[entry.path().filename()] = ValueOrThrow(ReadFile(entry.path()));
  }
  return files;
}

// Saves behind each step, on a disk that takes its time.
CheckpointingOptions Into(const fs::path& folder) {
  CheckpointingOptions options;
  options.folder = folder;
  options.every_steps = 1;
  options.recipe_digest = "abc";
  options.save.before_disk_operation = [](std::string_view operation, const fs::path&) {
    if (operation == "write") std::this_thread::sleep_for(kWrite);
    return absl::OkStatus();
  };
  return options;
}

// To the last step, from the latest checkpoint if there is one.
void TrainToEnd(const CheckpointingOptions& options) {
  comm::RunRanks(kRanks, [&](comm::Communicator& world) {
    SmallTraining training(world);
    int64_t steps_done = 0;
    if (const auto latest = ValueOrThrow(parallel::LatestCheckpoint(options.folder))) {
      steps_done = ValueOrThrow(Restore(*latest, training.parts()));
    }
    training.Run(steps_done, kSteps,
                 ListOf(std::make_unique<Checkpointing>(training.parts(), options, nullptr)));
  });
}

// In a process of its own, which is killed after `delay`; whether it was.
bool TrainAndKill(const CheckpointingOptions& options, microseconds delay) {
  const pid_t child = fork();
  if (child == 0) {
    at::set_num_threads(1);  // threads don't survive a fork
    try {
      TrainToEnd(options);
    } catch (const std::exception& error) {
      fprintf(stderr, "%s\n", error.what());
      _exit(1);
    }
    _exit(0);
  }
  std::this_thread::sleep_for(delay);
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << "the training failed";
  return WIFSIGNALED(status);
}

class KilledSaves : public testing::Test {
 protected:
  // What a training that stands still for each save writes; by step.
  void SetUp() override {
    CheckpointingOptions options = Into(halted_.path());
    options.in_background = false;
    options.save.retention.keep_last = 0;
    TrainToEnd(options);
    const MemoryFolder timed;
    const auto start = std::chrono::steady_clock::now();
    TrainToEnd(Into(timed.path()));
    whole_ = std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now() - start);
    for (int64_t step = 1; step <= kSteps; ++step) {
      expected_[step] = FilesOf(halted_.path() / parallel::CheckpointName(step));
    }
  }

  // Every published checkpoint has each byte that it should have; the latest one's step, else 0.
  int64_t CheckAll(const fs::path& folder) const {
    for (const auto& entry : ValueOrThrow(parallel::ListCheckpoints(folder))) {
      EXPECT_TRUE(FilesOf(entry.path) == expected_.at(entry.step)) << "step " << entry.step;
    }
    const std::optional<fs::path> latest = ValueOrThrow(parallel::LatestCheckpoint(folder));
    if (!latest) return 0;
    EXPECT_FALSE(FilesOf(*latest).empty());
    return std::stoll(latest->filename().string().substr(5));
  }

  MemoryFolder halted_;
  microseconds whole_{};  // what a training takes that nobody kills
  std::map<int64_t, std::map<std::string, std::string>> expected_;
};

// TANREN_KILLS sets how often, TANREN_KILL_SEED where.
TEST_F(KilledSaves, TheLastPublishedCheckpointIsWholeWhereverTheTrainingIsKilledAndGoesOn) {
  const int64_t kills = NumberFrom("TANREN_KILLS", 200);
  const auto seed = static_cast<uint64_t>(NumberFrom("TANREN_KILL_SEED", 1));
  std::mt19937_64 random(seed);
  auto folder = std::make_unique<MemoryFolder>();
  int64_t latest = 0, killed = 0, resumed = 0, ended = 0;
  while (killed < kills) {
    const std::string at = "TANREN_KILL_SEED=" + std::to_string(seed) + ", after " +
                           std::to_string(killed) + " kills and " + std::to_string(ended) + " ends";
    SCOPED_TRACE(at);
    resumed += latest > 0 ? 1 : 0;
    const microseconds delay(random() % (whole_.count() + 1));
    const bool was_killed = TrainAndKill(Into(folder->path()), delay);
    const int64_t found = CheckAll(folder->path());
    ASSERT_GE(found, latest) << "a published checkpoint is gone";
    ASSERT_FALSE(HasFailure());
    latest = found;
    killed += was_killed ? 1 : 0;
    if (was_killed) continue;
    EXPECT_EQ(latest, kSteps);
    ++ended;
    latest = 0;
    folder = std::make_unique<MemoryFolder>();
  }
  // Else the delays miss what this is about.
  EXPECT_GT(resumed, killed / 4);
  EXPECT_GT(ended, 0);
  std::printf("%ld kills, %ld resumes, %ld trainings to their end\n", killed, resumed, ended);
}

}  // namespace
}  // namespace tanren::trainer
