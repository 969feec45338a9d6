#include "runtime/formats/leftovers.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fmt/format.h"
#include "gtest/gtest.h"
#include "runtime/formats/gguf_writer.h"
#include "runtime/formats/model_directory.h"
#include "tests/runtime/formats/golden.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;

// The id of a process that has ended.
pid_t EndedProcess() {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  return child;
}

fs::path TemporaryOf(const fs::path& path, pid_t process) {
  return fmt::format("{}.tmp.{}", path.string(), process);
}

fs::path MakeFolder(const fs::path& folder) {
  fs::create_directories(folder);
  WriteFile(folder / "model.safetensors", "half");
  return folder;
}

TEST(Leftovers, ThoseOfAKilledExporterGoWithTheNextExport) {
  const fs::path model = EmptyFolder("out") / "model";
  const fs::path left = MakeFolder(TemporaryOf(model, EndedProcess()));
  auto writer = ModelDirectoryWriter::Create(model, ModelTexts(), {{"w", DType::kF32, {2}}});
  ASSERT_TRUE(writer.ok()) << writer.status();
  EXPECT_FALSE(fs::exists(left));

  const fs::path gguf = model.parent_path() / "m.gguf";
  const fs::path file = WriteFile(TemporaryOf(gguf, EndedProcess()), "half");
  const auto gguf_writer = GgufWriter::Create(gguf, {}, {{"w", DType::kF32, {2}}});
  ASSERT_TRUE(gguf_writer.ok()) << gguf_writer.status();
  EXPECT_FALSE(fs::exists(file));
}

TEST(Leftovers, WhatALivingProcessWritesStays) {
  const fs::path model = EmptyFolder("out") / "model";
  const fs::path own = MakeFolder(TemporaryOf(model, getpid()));
  const fs::path parents = MakeFolder(TemporaryOf(model, getppid()));
  RemoveLeftovers(model);
  EXPECT_TRUE(fs::exists(own));
  EXPECT_TRUE(fs::exists(parents));
}

TEST(Leftovers, WhatAProcessOfAnotherHostHasMarkedStays) {
  const fs::path model = EmptyFolder("out") / "model";
  const fs::path folder = MakeFolder(TemporaryOf(model, EndedProcess()));
  {
    const WriterMark mark(folder);
    RemoveLeftovers(model);
    EXPECT_TRUE(fs::exists(folder));
  }
  RemoveLeftovers(model);
  EXPECT_FALSE(fs::exists(folder));
}

TEST(Leftovers, OtherNamesStay) {
  const fs::path model = EmptyFolder("out") / "model";
  const pid_t ended = EndedProcess();
  const fs::path others[] = {TemporaryOf(model.parent_path() / "model2", ended),
                             fmt::format("{}.tmp.{}.old", model.string(), ended),
                             model.string() + ".tmp.mine",
                             model.string() + ".tmp.",
                             fmt::format("{}.old.{}", model.string(), ended),
                             model};
  for (const fs::path& other : others) MakeFolder(other);
  RemoveLeftovers(model);
  for (const fs::path& other : others) EXPECT_TRUE(fs::exists(other)) << other;
}

}  // namespace
}  // namespace tanren::formats
