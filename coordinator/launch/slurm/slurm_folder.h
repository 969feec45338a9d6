// The folder of an attempt that the agent and its batch job share: <job folder>/slurm-<token>, on a
// file system that all nodes of the cluster see.
//
// - task.pb: what to run; 0600, for it holds the user's environment
// - claim: who runs the attempt, made once and for all
// - alive: beats while it runs
// - stop: what the agent wants
// - ranks/<role>.<rank>.exit: how each rank ended; .started before it
// - logs/<role>.<rank>.log: what each rank wrote (log_spool.h)
// - batch.log: what mpirun and the batch job itself wrote, likewise
// - exit: how it ended; nothing of it lives
//
// Beside it, for all attempts of the job: <job folder>/slurm-fence, the highest token that may run.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_FOLDER_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_FOLDER_H_

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/launch/slurm/acting_as.h"
#include "proto/slurm.pb.h"

namespace tanren::coordinator {

class SlurmFolder {
 public:
  // Reached with the rights of `user`; null: with this process's.
  explicit SlurmFolder(std::filesystem::path path, std::shared_ptr<const FileUser> user = nullptr)
      : path_(std::move(path)), user_(std::move(user)) {}
  static SlurmFolder Of(const PartSpec& part, std::shared_ptr<const FileUser> user = nullptr);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path job_folder() const { return path_.parent_path(); }
  std::filesystem::path batch_log() const { return path_ / "batch.log"; }
  std::filesystem::path log(const std::string& role, int32_t rank) const;
  // What the worker makes, and is told to continue in: <job folder>/attempt-<n>.
  static std::filesystem::path RunFolder(const PartSpec& part);

  // Makes the folder with its task. Done again, it changes nothing that counts.
  absl::Status Prepare(const SlurmTask& task) const;
  absl::StatusOr<SlurmTask> ReadTask() const;

  // Whether the attempt is now the caller's: false if somebody claimed it before. Atomic over all
  // hosts; durable.
  absl::StatusOr<bool> Claim(const SlurmClaim& claim) const;
  absl::StatusOr<std::optional<SlurmClaim>> ReadClaim() const;

  absl::Status WriteBeat(const SlurmBeat& beat) const;
  absl::StatusOr<std::optional<SlurmBeat>> ReadBeat() const;
  absl::Status WriteStop(const SlurmStop& stop) const;
  absl::StatusOr<std::optional<SlurmStop>> ReadStop() const;
  absl::Status WriteExit(const SlurmExit& exit) const;
  absl::StatusOr<std::optional<SlurmExit>> ReadExit() const;

  absl::Status WriteRankStarted(const std::string& role, int32_t rank) const;
  absl::Status WriteRankExit(const SlurmRankExit& exit) const;
  int32_t RanksStarted() const;
  // Whether each rank that was started has left its record.
  bool AllStartedEnded() const;
  std::vector<SlurmRankExit> RankExits() const;

  // Raises the job's fence to `token`; returns the highest token that was ever written there, and
  // greater than `token` it means that the attempt was superseded.
  absl::StatusOr<AttemptToken> RaiseFence(const AttemptToken& token) const;
  // Folders of the job's other attempts that were claimed by a batch job.
  std::vector<SlurmFolder> OtherClaimed() const;

 private:
  std::filesystem::path path_;
  std::shared_ptr<const FileUser> user_;
};

// Orders tokens as the coordinator does: by epoch, job, attempt.
std::string SlurmFolderName(const AttemptToken& token);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_FOLDER_H_
