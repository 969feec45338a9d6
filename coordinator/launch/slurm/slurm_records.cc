#include "coordinator/launch/slurm/slurm_records.h"

#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "coordinator/launch/part_folder.h"
#include "coordinator/state/cluster.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr char kRecord[] = "slurm.pb";
constexpr char kForgotten[] = "forgotten.pb";

// Everything that is user-given reaches the program as a file, not as text of this script. What
// goes wrong before the program writes by itself is told where people look.
constexpr char kScript[] =
    "#!/bin/sh\n"
    "exec >>\"$2/batch.log\" 2>&1\n"
    "exec \"$1\" slurm-batch \"$2\"\n";

}  // namespace

absl::StatusOr<SlurmRecords> SlurmRecords::Open(const fs::path& state) {
  TANREN_RETURN_IF_ERROR(MakeDirectories(state));
  TANREN_ASSIGN_OR_RETURN(Descriptor lock, LockState(state));
  SlurmRecords records(state, std::move(lock));
  TANREN_RETURN_IF_ERROR(WriteFileAtomically(BatchScript(records.state_), kScript));
  return records;
}

fs::path SlurmRecords::BatchScript(const fs::path& state) { return state / "batch.sh"; }

fs::path SlurmRecords::FolderOf(const AttemptToken& token) const {
  return state_ / "parts" / TokenText(token);
}

absl::StatusOr<std::vector<SlurmPart>> SlurmRecords::Load() const {
  std::vector<SlurmPart> parts;
  std::error_code error;
  for (fs::directory_iterator at(state_ / "parts", error), end; !error && at != end;
       at.increment(error)) {
    const fs::path file = at->path() / kRecord;
    const auto bytes = ReadFile(file);
    if (absl::IsNotFound(bytes.status())) continue;
    TANREN_RETURN_IF_ERROR(bytes.status());
    if (!parts.emplace_back().ParseFromString(*bytes)) {
      return absl::DataLossError(fmt::format("{}: isn't the record of a part", file.string()));
    }
  }
  return parts;
}

absl::Status SlurmRecords::Save(const SlurmPart& part) const {
  const fs::path folder = FolderOf(part.report().token());
  absl::Status status = MakeDirectories(folder.parent_path());
  // The record holds the job's environment.
  if (status.ok() && mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    status = absl::ErrnoToStatus(errno, folder.string());
  }
  if (status.ok()) status = WriteFileAtomically(folder / kRecord, part.SerializeAsString());
  if (!status.ok()) LogError("{}", std::string(status.message()));
  return status;
}

void SlurmRecords::Forget(const AttemptToken& token) const {
  const fs::path folder = FolderOf(token);
  std::error_code error;
  fs::rename(folder / kRecord, folder / kForgotten, error);
  if (error) LogWarning("{}: {}", folder.string(), error.message());
}

absl::StatusOr<PartSpec> SlurmRecords::ForgottenSpec(const AttemptToken& token) const {
  SlurmPart record;
  const auto bytes = ReadFile(FolderOf(token) / kForgotten);
  if (!bytes.ok() || !record.ParseFromString(*bytes) || !record.has_spec()) {
    return absl::NotFoundError(fmt::format("attempt {} isn't known here", TokenText(token)));
  }
  return record.spec();
}

}  // namespace tanren::coordinator
