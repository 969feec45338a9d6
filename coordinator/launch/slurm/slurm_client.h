// Slurm as its command-line programs show it: sbatch, squeue, scancel and, where slurmdbd runs,
// sacct.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_CLIENT_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_CLIENT_H_

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tanren::coordinator {

// A line of squeue.
struct SlurmJob {
  std::string id;     // a number
  std::string state;  // "RUNNING", …
  uid_t user = 0;
  std::string name;
  std::string comment;
  std::string reason;  // why it waits, or ended
};

// Which job is meant. The number alone may be a stranger's: a controller that dies before it has
// written its newest jobs gives their numbers again.
struct SlurmTarget {
  std::string id;
  std::string name;
  uid_t user = 0;
};

// What accounting keeps of a job that Slurm's controller has forgotten.
struct SlurmAccount {
  std::string state;
  int exit_code = 0;
  int signal = 0;
};

struct SlurmClientOptions {
  // Where the programs are; empty: in PATH.
  std::filesystem::path folder;
  int64_t timeout_ms = 30'000;
};

// Any thread. Errors: kUnavailable if the controller couldn't be asked or has no time now, in which
// case nothing is known; kDeadlineExceeded the same, and what was asked may have happened.
class SlurmClient {
 public:
  // kNotFound names a program that isn't there.
  static absl::StatusOr<SlurmClient> Open(SlurmClientOptions options);

  // The id of the new job. `script` is the path of the batch script and its arguments.
  // kInvalidArgument: Slurm refuses it for what it asks; kResourceExhausted: for now.
  absl::StatusOr<std::string> Submit(const std::vector<std::string>& options,
                                     const std::vector<std::string>& script) const;
  // Jobs with one of these names, in any state, that the controller remembers: of everybody if this
  // process is root, else of its user.
  absl::StatusOr<std::vector<SlurmJob>> Find(const std::vector<std::string>& names) const;
  // Ends a job, whatever its state; OK if there is nothing to end.
  absl::Status Cancel(const SlurmTarget& job) const;
  // SIGUSR1 to the batch script of a job that runs.
  absl::Status SignalToSave(const SlurmTarget& job) const;
  // Nothing where accounting isn't kept, or doesn't know it.
  std::optional<SlurmAccount> Account(const SlurmTarget& job) const;

  const SlurmClientOptions& options() const { return options_; }

 private:
  explicit SlurmClient(SlurmClientOptions options) : options_(std::move(options)) {}
  std::string Program(const char* name) const { return (options_.folder / name).string(); }

  SlurmClientOptions options_;
};

// The strict readers of what the programs print; kDataLoss says what was found.
absl::StatusOr<std::string> ParseSbatch(absl::string_view output);
absl::StatusOr<std::vector<SlurmJob>> ParseSqueue(absl::string_view output);
absl::StatusOr<std::optional<SlurmAccount>> ParseSacct(absl::string_view output);

// What a failed sbatch's messages amount to, see Submit.
absl::Status SubmissionError(absl::string_view errors);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_SLURM_CLIENT_H_
