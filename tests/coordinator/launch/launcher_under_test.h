// A launcher of any kind for tests, and what they ask of it again and again.
#ifndef TANREN_TESTS_COORDINATOR_LAUNCH_LAUNCHER_UNDER_TEST_H_
#define TANREN_TESTS_COORDINATOR_LAUNCH_LAUNCHER_UNDER_TEST_H_

#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/launch/launcher.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/patience.h"

namespace tanren::coordinator {

// A launcher and what it needs around it.
class LauncherUnderTest {
 public:
  virtual ~LauncherUnderTest() = default;
  // The one there is. It has a long lease.
  virtual Launcher& launcher() = 0;
  // As after a crash of its process: another one on the same state, while what it started lives on.
  virtual void Reopen() = 0;
  // The node that placements name.
  virtual std::string node() const = 0;
  virtual std::string folder() const = 0;  // for jobs
};

using LauncherFactory = std::function<std::unique_ptr<LauncherUnderTest>()>;

// A job of one rank that runs the command.
inline PartSpec CommandPart(const LauncherUnderTest& under_test, uint64_t job,
                            std::vector<std::string> argv, uint32_t attempt = 1) {
  PartSpec part;
  part.mutable_token()->set_epoch(1);
  part.mutable_token()->set_job(job);
  part.mutable_token()->set_attempt(attempt);
  JobSpec& spec = *part.mutable_spec();
  for (std::string& word : argv) spec.mutable_command()->add_argv(std::move(word));
  spec.set_folder(under_test.folder());
  Role& role = *spec.add_roles();
  role.set_name("trainer");
  role.set_ranks(1);
  Placement& placement = *part.add_placements();
  placement.set_node(under_test.node());
  placement.set_role("trainer");
  placement.set_ranks(1);
  (*part.mutable_addresses())[under_test.node()] = "127.0.0.1";
  return part;
}

inline std::vector<std::string> Shell(std::string script) { return {"/bin/sh", "-c", script}; }

inline std::optional<PartReport> Find(Launcher& launcher, const AttemptToken& token) {
  for (PartReport& report : launcher.Parts()) {
    if (report.token().SerializeAsString() == token.SerializeAsString()) return std::move(report);
  }
  return std::nullopt;
}

inline bool IsIn(Launcher& launcher, const AttemptToken& token, PartState state) {
  const std::optional<PartReport> report = Find(launcher, token);
  return report.has_value() && report->state() == state;
}

// Waits for the part's end.
inline AttemptEnd EndOf(Launcher& launcher, const AttemptToken& token) {
  EXPECT_TRUE(Eventually([&] { return IsIn(launcher, token, PART_ENDED); }));
  const std::optional<PartReport> report = Find(launcher, token);
  return report.has_value() ? report->end() : AttemptEnd();
}

// All that the rank has written so far.
inline std::string LogOf(Launcher& launcher, const AttemptToken& token, int rank = 0) {
  ReadLogChunk request;
  *request.mutable_token() = token;
  request.set_role("trainer");
  request.set_rank(rank);
  std::string text;
  while (true) {
    const absl::StatusOr<LogChunk> chunk = launcher.ReadLog(request);
    if (!chunk.ok() || chunk->data().empty()) return text;
    text += chunk->data();
    request.set_offset(chunk->offset() + chunk->data().size());
  }
}

}  // namespace tanren::coordinator

#endif  // TANREN_TESTS_COORDINATOR_LAUNCH_LAUNCHER_UNDER_TEST_H_
