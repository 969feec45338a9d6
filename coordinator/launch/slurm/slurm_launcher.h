// Hands the parts of attempts to Slurm, as batch jobs: for an agent that stands for a whole
// cluster.
//
// Slurm's word on a job counts, and the agent's lease doesn't end it: an agent that can't reach the
// coordinator leaves its jobs running. What keeps two attempts of a job apart instead lies in the
// job's folder, on the file system that all nodes share (slurm_folder.h):
//
//   - an attempt runs only after its batch job has claimed it, which one can do once;
//   - an attempt that sees a higher token in the job's fence ends itself, as one does that can't
//     write its beat for a lease's time;
//   - an attempt starts its ranks only once every other one that was claimed has left its record,
//     or its heart has stood still for longer than that lease;
//   - all attempts of a job bear one name in Slurm, where "singleton" lets one of them run at a
//   time.
//
// So a submission whose answer was lost may be made again, and Slurm's own requeueing (switched
// off) does no harm where an administrator does it by hand: the coordinator owns retries.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_LAUNCHER_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_LAUNCHER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/launch/launcher.h"
#include "coordinator/launch/log_spool.h"
#include "coordinator/launch/slurm/slurm_request.h"

namespace tanren::coordinator {

struct SlurmLauncherOptions {
  std::filesystem::path state;  // the agent's state folder; made if absent
  // On all nodes of the cluster: this program (it must call RunSlurmCommand first), and the worker.
  std::filesystem::path program;           // empty: this process's own
  std::filesystem::path worker;            // empty: tanren-worker beside the program, or in PATH
  std::filesystem::path commands;          // where sbatch is; empty: in PATH
  std::vector<std::string> mpi_arguments;  // more of them, for this cluster's mpirun
  // For mpirun and its ranks, which users can't change; Open() adds this process's own OMPI_MCA_…,
  // PMIX_MCA_… and PRTE_MCA_….
  std::map<std::string, std::string> mpi_environment;
  SlurmRequestOptions request;
  // A launcher of root submits each job as the user who wants it, and root's own only if this is
  // set. Another one refuses the jobs of others than its user, or runs them as its user.
  bool allow_root = false;
  bool shared_account = false;
  int64_t log_limit_bytes = kDefaultLogLimitBytes;  // of each rank; the oldest go first
  int64_t poll_ms = 2'000;
  int64_t command_timeout_ms = 30'000;
  // Ranks end when the shared folder couldn't be written for so long. Long, because file systems of
  // clusters do stand still for a minute.
  int64_t folder_lease_ms = 120'000;
  int64_t heartbeat_ms = 2'000;
  // How long a record may take to show here after Slurm has ended the job.
  int64_t record_wait_ms = 15'000;
  // A record is believed without Slurm's word after so long.
  int64_t record_trust_ms = 60'000;
  // A job that squeue doesn't show counts as forgotten after so long and three such answers: a
  // controller that has just taken over from another may not have read all jobs yet.
  int64_t forgotten_after_ms = 60'000;
  // Why a job waits is told once it has been so for so long: Slurm changes its mind often.
  int64_t reason_holds_ms = 10'000;
};

class SlurmLauncher final : public Launcher {
 public:
  // Takes the state folder (kFailedPrecondition if another agent holds it) and goes on with what it
  // says. kNotFound: a program of Slurm's, or the worker, isn't here.
  static absl::StatusOr<std::unique_ptr<SlurmLauncher>> Open(SlurmLauncherOptions options);
  // Leaves all jobs as they are.
  ~SlurmLauncher() override;

  void Start(const PartSpec& part) override;
  void Stop(const AttemptToken& token, StopReason reason, int64_t grace_ms) override;
  void Forget(const AttemptToken& token) override;
  std::vector<PartReport> Parts() override;
  // Does nothing: see above.
  void SetDeadline(int64_t steady_ms) override;
  // Rank -1 is what mpirun and the batch job themselves wrote.
  absl::StatusOr<LogChunk> ReadLog(const ReadLogChunk& request) override;
  // kFailedPrecondition: mpirun finds its nodes through Slurm.
  absl::Status StartRemote(const RemoteStart& request,
                           std::function<void(const RemoteEnd&)> ended) override;
  void OnChange(std::function<void()> changed) override;

 private:
  class Implementation;
  explicit SlurmLauncher(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_LAUNCHER_H_
