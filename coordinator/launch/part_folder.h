// A part's files, and who holds them.
#ifndef TANREN_COORDINATOR_LAUNCH_PART_FOLDER_H_
#define TANREN_COORDINATOR_LAUNCH_PART_FOLDER_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/coordinator.pb.h"
#include "proto/launch.pb.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

// Names only; nothing is opened.
class PartFolder {
 public:
  explicit PartFolder(std::filesystem::path path) : path_(std::move(path)) {}
  PartFolder(const std::filesystem::path& state, const AttemptToken& token);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path spec() const { return path_ / "spec.pb"; }
  std::filesystem::path state() const { return path_ / "state.pb"; }
  std::filesystem::path supervisor() const { return path_ / "supervisor"; }
  std::filesystem::path control_socket() const { return path_ / "control.sock"; }
  std::filesystem::path rank_socket() const { return path_ / "rank.sock"; }
  std::filesystem::path event_socket() const { return path_ / "events.sock"; }
  std::filesystem::path logs() const { return path_ / "logs"; }

 private:
  std::filesystem::path path_;
};

// Replaces the file whole for every reader, but without waiting for the disk: 8 ms each would be
// the most of a short job's life, and after a crash of the machine nothing of a part lives anyway.
absl::Status ReplaceFile(const std::filesystem::path& path, std::string_view content,
                         unsigned mode = 0600);

// Holds an agent's state folder, which is there, for as long as the descriptor is open.
// kFailedPrecondition if another agent does.
absl::StatusOr<Descriptor> LockState(const std::filesystem::path& state);

// kNotFound; kDataLoss for a file that isn't whole.
absl::StatusOr<PartReport> ReadPartState(const PartFolder& folder);
absl::StatusOr<SupervisorSpec> ReadPartSpec(const PartFolder& folder);

// The processes that a part's lock file names, for who cleans up after its supervisor.
struct PartProcesses {
  int64_t supervisor = 0;  // 0: there never was one
  int64_t supervisor_start = 0;
  int64_t first = 0;  // of the part's PID namespace; 0: it has none
  int64_t first_start = 0;
};

// The right to say what becomes of a part: its supervisor has it while it lives. Of the process (no
// child inherits it); gone when any descriptor of the file is closed in this process, so nothing
// else opens the file there.
class PartLock {
 public:
  // kFailedPrecondition if another process has it.
  static absl::StatusOr<PartLock> Take(const PartFolder& folder);
  // Whether another process has it.
  static bool IsHeld(const PartFolder& folder);

  absl::Status Write(const PartProcesses& processes);
  PartProcesses processes() const;

 private:
  explicit PartLock(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_PART_FOLDER_H_
