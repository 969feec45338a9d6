// What an agent remembers of the parts it handed to Slurm: a file for each in its state folder.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_RECORDS_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_RECORDS_H_

#include <filesystem>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/slurm.pb.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

// Any thread, each part by one at a time.
class SlurmRecords {
 public:
  // Makes the folder if absent, and holds it: kFailedPrecondition if another agent does.
  static absl::StatusOr<SlurmRecords> Open(const std::filesystem::path& state);

  // All that weren't forgotten. kDataLoss names a file that isn't a record.
  absl::StatusOr<std::vector<SlurmPart>> Load() const;
  // Durable once it returns; an error is also logged.
  absl::Status Save(const SlurmPart& part) const;
  // Load() leaves it out from now on.
  void Forget(const AttemptToken& token) const;
  // What sbatch is given: the same for all jobs, with no text of a user's. Its arguments are the
  // program and the attempt's folder. Open() writes it.
  static std::filesystem::path BatchScript(const std::filesystem::path& state);
  // Of a part that was forgotten: where its logs are. kNotFound.
  absl::StatusOr<PartSpec> ForgottenSpec(const AttemptToken& token) const;

 private:
  SlurmRecords(std::filesystem::path state, Descriptor lock)
      : state_(std::move(state)), lock_(std::move(lock)) {}
  std::filesystem::path FolderOf(const AttemptToken& token) const;

  std::filesystem::path state_;
  Descriptor lock_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_RECORDS_H_
