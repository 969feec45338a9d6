// Writers that are killed or fail at each of their operations, and files that were damaged.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <set>

#include "parallel/checkpoint/checkpoint.h"
#include "parallel/checkpoint/checkpoint_folder.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/comm/local.h"
#include "tests/parallel/checkpoint/training.h"

namespace tanren::parallel {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr ToyOptions kToy{.blocks = 1};
constexpr int kRanks = 2;

std::string MessageOf(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

// Saves step `step` of parameters that `seed` makes; the error that all ranks got.
absl::Status SaveSeeded(const fs::path& folder, int64_t step, uint64_t seed,
                        const SaveOptions& options = {}) {
  std::vector<absl::Status> statuses(kRanks);
  comm::RunRanks(kRanks, [&](comm::Communicator& world) {
    Training training(world, kToy);
    training.engine().Initialize(seed);
    statuses[world.rank()] = training.Save(folder, {.step = step}, options);
  });
  for (const absl::Status& status : statuses) EXPECT_EQ(status, statuses[0]);
  return statuses[0];
}

Tensors Seeded(uint64_t seed) {
  const auto world = comm::SingleRank();
  Training training(*world, kToy);
  training.engine().Initialize(seed);
  return training.Parameters();
}

struct Loaded {
  int64_t step = 0;
  Tensors parameters;
};

absl::StatusOr<Loaded> Load(const fs::path& checkpoint) {
  const auto world = comm::SingleRank();
  Training training(*world, kToy);
  TANREN_ASSIGN_OR_RETURN(const CheckpointMeta meta, training.Load(checkpoint));
  return Loaded{meta.step, training.Parameters()};
}

absl::StatusOr<Loaded> LoadLatest(const fs::path& folder) {
  TANREN_ASSIGN_OR_RETURN(const auto latest, LatestCheckpoint(folder));
  if (!latest) return absl::NotFoundError("no checkpoint");
  return Load(*latest);
}

std::set<std::string> NamesIn(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

// Runs `body` in a process of its own and returns its wait status.
int InChild(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    at::set_num_threads(1);  // threads don't survive a fork
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

// A folder with steps 1 (seed 1) and 2 (seed 2).
void MakeHistory(const fs::path& folder) {
  ThrowIfError(SaveSeeded(folder, 1, 1));
  ThrowIfError(SaveSeeded(folder, 2, 2));
}

// Kills a writer of step `step` (seed 3) at each of its operations.
void KillEverywhere(int64_t step) {
  const TemporaryFolder temporary;
  const fs::path history = temporary.path() / "history";
  MakeHistory(history);
  const Tensors before = Seeded(2), written = Seeded(3);
  int operations = 0, kept = 0;
  for (bool killed = true; killed; ++operations) {
    const fs::path folder = temporary.path() / "run";
    fs::remove_all(folder);
    fs::copy(history, folder, fs::copy_options::recursive);
    std::atomic<int> left = operations;
    SaveOptions options{.retention = {.keep_last = 1}};
    options.before_disk_operation = [&](std::string_view, const fs::path&) {
      if (left-- == 0) kill(getpid(), SIGKILL);
      return absl::OkStatus();
    };
    const int status = InChild([&] { ThrowIfError(SaveSeeded(folder, step, 3, options)); });
    killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    ASSERT_TRUE(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) << status;

    const auto loaded = LoadLatest(folder);
    ASSERT_TRUE(loaded.ok()) << "killed at operation " << operations << ": " << loaded.status();
    const bool is_before = loaded->step == 2 && BitwiseEqual(loaded->parameters, before);
    const bool is_written = loaded->step == step && BitwiseEqual(loaded->parameters, written);
    ASSERT_TRUE(is_before || is_written) << "killed at operation " << operations;
    EXPECT_TRUE(killed || is_written);
    kept += is_before ? 1 : 0;

    ASSERT_TRUE(SaveSeeded(folder, 9, 1, {.retention = {.keep_last = 1}}).ok());
    EXPECT_EQ(NamesIn(folder), (std::set<std::string>{"latest", "step-00000009"}));
  }
  EXPECT_GT(operations, 40);
  EXPECT_GT(kept, 35);
}

TEST(CheckpointFaults, KilledAnywhereThePreviousOrTheNewOneLoads) { KillEverywhere(3); }

TEST(CheckpointFaults, KilledWhileReplacingAStepTheOldOrTheNewOneLoads) { KillEverywhere(2); }

TEST(CheckpointFaults, AFailureAnywhereIsEveryRanksErrorAndThePreviousOneLoads) {
  const TemporaryFolder temporary;
  MakeHistory(temporary.path());
  const Tensors before = Seeded(2);
  int operations = 0;
  for (bool failed = true; failed; ++operations) {
    std::atomic<int> left = operations;
    SaveOptions options;
    options.before_disk_operation = [&](std::string_view, const fs::path& path) {
      return left-- == 0 ? absl::ResourceExhaustedError(path.string() + ": no space left")
                         : absl::OkStatus();
    };
    const absl::Status status = SaveSeeded(temporary.path(), 3, 3, options);
    failed = !status.ok();
    if (!failed) break;
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(MessageOf(status), testing::ContainsRegex("rank [01]: .*no space left"));
    const auto loaded = LoadLatest(temporary.path());
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->step, 2) << operations;
    EXPECT_TRUE(BitwiseEqual(loaded->parameters, before));
    for (const std::string& name : NamesIn(temporary.path())) {
      EXPECT_EQ(name.find("incoming"), std::string::npos) << name;
    }
    fs::remove_all(temporary.path() / "step-00000003");  // complete, but not published
  }
  EXPECT_GT(operations, 40);
  EXPECT_EQ(LoadLatest(temporary.path())->step, 3);
}

TEST(CheckpointFaults, AFileThatCannotGrowIsAnErrorThatNamesIt) {
  const TemporaryFolder temporary;
  MakeHistory(temporary.path());
  const int status = InChild([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{2048, 2048};
    setrlimit(RLIMIT_FSIZE, &limit);
    const std::string message = MessageOf(SaveSeeded(temporary.path(), 3, 3));
    const bool clear = message.find("-of-0002.tanren: can't write past byte") != std::string::npos;
    _exit(clear ? 0 : 1);
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(LoadLatest(temporary.path())->step, 2);
}

TEST(CheckpointFaults, AFolderThatCannotBeMadeIsAnError) {
  const TemporaryFolder temporary;
  std::ofstream(temporary.path() / "file") << "x";
  EXPECT_THAT(MessageOf(SaveSeeded(temporary.path() / "file" / "checkpoints", 1, 1)),
              HasSubstr((temporary.path() / "file").string()));
}

class Damage : public testing::Test {
 protected:
  Damage() { ThrowIfError(SaveSeeded(temporary_.path(), 1, 1)); }
  fs::path checkpoint() const { return temporary_.path() / "step-00000001"; }
  // The files with their contents.
  std::map<fs::path, std::string> Files() const {
    std::map<fs::path, std::string> files;
    for (const auto& entry : fs::directory_iterator(checkpoint())) {
      files[entry.path()] = ValueOrThrow(ReadFile(entry.path()));
    }
    return files;
  }
  static void Write(const fs::path& path, std::string_view content) {
    std::ofstream(path, std::ios::binary)
        .write(content.data(), static_cast<std::streamsize>(content.size()));
  }

  TemporaryFolder temporary_;
};

TEST_F(Damage, AChangedByteIsAnErrorThatNamesTheFileAndTheTensor) {
  const Tensors expected = Seeded(1);
  for (const auto& [path, content] : Files()) {
    const bool holds_pieces = path.extension() == ".tanren";
    int noticed = 0, tried = 0;
    for (size_t i = 0; i < content.size(); i += 61) {
      std::string damaged = content;
      damaged[i] = static_cast<char>(damaged[i] ^ 4);
      Write(path, damaged);
      const auto loaded = Load(checkpoint());
      ++tried;
      if (loaded.ok()) {
        // Padding, and white space of the manifest.
        EXPECT_TRUE(BitwiseEqual(loaded->parameters, expected)) << path << " byte " << i;
        continue;
      }
      ++noticed;
      EXPECT_THAT(MessageOf(loaded.status()), HasSubstr(path.filename().string()));
      EXPECT_THAT(MessageOf(loaded.status()), HasSubstr(holds_pieces ? " of '" : ""));
    }
    EXPECT_GT(noticed, tried / 2) << path;
    Write(path, content);
  }
  EXPECT_TRUE(Load(checkpoint()).ok());
}

TEST_F(Damage, AFileOfAnotherLengthOrNoneIsAnErrorThatNamesIt) {
  for (const auto& [path, content] : Files()) {
    for (const std::string& damaged :
         {content.substr(0, content.size() / 2), content.substr(0, content.size() - 1),
          std::string(), content + "x"}) {
      if (path.filename() == "manifest.json" && damaged.size() + 1 == content.size()) continue;
      Write(path, damaged);
      EXPECT_THAT(MessageOf(Load(checkpoint()).status()), HasSubstr(path.filename().string()));
    }
    fs::remove(path);
    EXPECT_THAT(MessageOf(Load(checkpoint()).status()), HasSubstr(path.filename().string()));
    Write(path, content);
  }
  EXPECT_TRUE(Load(checkpoint()).ok());
}

TEST_F(Damage, OnOneRankIsEveryRanksError) {
  // The last rank's part alone needs the end of the last file.
  const fs::path path = checkpoint() / "rank-0001-of-0002.tanren";
  std::string content = ValueOrThrow(ReadFile(path));
  content.back() = static_cast<char>(content.back() ^ 1);
  Write(path, content);
  comm::RunRanks(4, [&](comm::Communicator& world) {
    Training training(world, kToy);
    EXPECT_THAT(MessageOf(training.Load(checkpoint()).status()),
                testing::ContainsRegex("^rank [23]: .*rank-0001-of-0002.tanren"));
  });
}

}  // namespace
}  // namespace tanren::parallel
