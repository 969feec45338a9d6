#include "coordinator/launch/slurm/slurm_batch_log.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

// What this process and a program write to a log that keeps `limit` bytes.
void WriteLog(const fs::path& path, int64_t limit, const std::string& own,
              const std::string& programs) {
  const int output = dup(STDOUT_FILENO), errors = dup(STDERR_FILENO);
  {
    SlurmBatchLog log;
    EXPECT_TRUE(log.Open(path, limit).ok());
    std::fputs(own.c_str(), stderr);
    for (size_t at = 0; at < programs.size();) {
      const ssize_t written = write(log.output(), programs.data() + at, programs.size() - at);
      if (written <= 0) break;
      at += static_cast<size_t>(written);
    }
    log.Close();
  }
  dup2(output, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  close(output);
  close(errors);
}

TEST(SlurmBatchLog, WhatTheScriptSaidBeforeStays) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "batch.log";
  std::ofstream(path) << "script\n";
  WriteLog(path, 4'000, "supervisor\n", "mpirun\n");
  EXPECT_EQ(SpoolTail(path, 1'000), "script\nsupervisor\nmpirun\n");
}

TEST(SlurmBatchLog, WhoHoldsItOpenIsntWaitedFor) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "batch.log";
  const int output = dup(STDOUT_FILENO), errors = dup(STDERR_FILENO);
  SlurmBatchLog log;
  ASSERT_TRUE(log.Open(path, 4'000).ok());
  const int left_behind = dup(log.output());
  EXPECT_EQ(write(left_behind, "mpirun\n", 7), 7);
  log.Close();
  dup2(output, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  for (const int file : {output, errors, left_behind}) close(file);
  EXPECT_EQ(SpoolTail(path, 1'000), "mpirun\n");
}

TEST(SlurmBatchLog, ItKeepsItsNewestBytesAndDeclaresTheGap) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "batch.log";
  WriteLog(path, 4'000, "", std::string(500'000, 'm') + "the end\n");
  const auto first = ReadSpool(path, ReadLogChunk(), true);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->gap());
  EXPECT_GE(first->offset(), 500'008u - 4'000);
  uint64_t bytes = 0;
  for (const auto& file : fs::directory_iterator(folder.path())) {
    if (file.path().extension() == ".log") bytes += file.file_size();
  }
  EXPECT_LE(bytes, 4'000u);
  EXPECT_EQ(SpoolTail(path, 8), "the end\n");
}

}  // namespace
}  // namespace tanren::coordinator
