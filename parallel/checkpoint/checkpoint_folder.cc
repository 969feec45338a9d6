#include "parallel/checkpoint/checkpoint_folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>

#include "parallel/checkpoint/manifest.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/temporary_name.h"

namespace tanren::parallel {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "step-";
constexpr char kLatest[] = "latest";
// After a checkpoint's name: being written, and being deleted.
constexpr std::string_view kIncoming = ".incoming-";
constexpr std::string_view kDeleting = ".deleting-";
constexpr uint64_t kLongestManifest = uint64_t{64} << 20;

absl::Status ErrorOf(const std::error_code& error, std::string_view action, const fs::path& path) {
  return absl::ErrnoToStatus(error.value(), fmt::format("{}: {}", path.string(), action));
}

// The step of a checkpoint's name; none for any other name.
std::optional<int64_t> StepOf(const std::string& name) {
  int64_t step = 0;
  const char* end = name.data() + name.size();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  const auto parsed = std::from_chars(name.data() + kPrefix.size(), end, step);
  // Other spellings of a step aren't ours.
  if (parsed.ec != std::errc() || step < 0 || name != CheckpointName(step)) return std::nullopt;
  return step;
}

bool IsWhole(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path / kManifestFile, error);
}

// WriteFileAtomically's is one.
bool IsLeftover(const std::string& name) {
  if (name.starts_with(fmt::format("{}{}", kLatest, kTemporaryMark))) return true;
  for (const std::string_view mark : {kIncoming, kDeleting}) {
    const size_t place = name.find(mark);
    if (place != std::string::npos && StepOf(name.substr(0, place))) return true;
  }
  return false;
}

// Different for each launch and each save.
std::string Suffix() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return fmt::format("{}-{}", getpid(),
                     std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

absl::StatusOr<std::vector<std::string>> NamesIn(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error == std::errc::no_such_file_or_directory) return names;
  if (error) return ErrorOf(error, "can't list the folder", folder);
  return names;
}

absl::Status Remove(const fs::path& path, const DiskHook& hook) {
  TANREN_RETURN_IF_ERROR(BeforeDiskOperation(hook, "remove", path));
  std::error_code error;
  fs::remove_all(path, error);
  return error ? ErrorOf(error, "can't remove", path) : absl::OkStatus();
}

absl::Status Rename(const fs::path& from, const fs::path& to, const DiskHook& hook) {
  TANREN_RETURN_IF_ERROR(BeforeDiskOperation(hook, "rename", to));
  std::error_code error;
  fs::rename(from, to, error);
  return error ? ErrorOf(error, fmt::format("can't rename {} to this name", from.string()), to)
               : absl::OkStatus();
}

absl::Status RemoveLeftovers(const fs::path& folder, const DiskHook& hook) {
  TANREN_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(folder));
  for (const std::string& name : names) {
    if (IsLeftover(name)) TANREN_RETURN_IF_ERROR(Remove(folder / name, hook));
  }
  return absl::OkStatus();
}

// The name under which a checkpoint is deleted: a leftover's, so that nobody takes what is there
// halfway for a checkpoint.
fs::path DeletingName(const fs::path& path) {
  return fmt::format("{}{}{}", path.string(), kDeleting, Suffix());
}

// Afterwards `incoming` is at `path`, and what was there is a leftover.
absl::Status Replace(const fs::path& incoming, const fs::path& path, const DiskHook& hook) {
  TANREN_RETURN_IF_ERROR(BeforeDiskOperation(hook, "exchange", path));
  if (renameat2(AT_FDCWD, incoming.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0) {
    return absl::OkStatus();
  }
  // Not every file system can exchange two names at once (NFS can't): there the step is absent for
  // a moment.
  const fs::path deleting = DeletingName(path);
  TANREN_RETURN_IF_ERROR(Rename(path, deleting, hook));
  const absl::Status renamed = Rename(incoming, path, hook);
  if (!renamed.ok()) {
    std::error_code ignored;  // nothing more can be done
    fs::rename(deleting, path, ignored);
  }
  return renamed;
}

std::optional<double> MetricOf(const fs::path& path) {
  const auto text = ReadFile(path / kManifestFile, kLongestManifest);
  if (!text.ok()) return std::nullopt;
  const auto manifest = ParseManifest(*text);
  return manifest.ok() ? manifest->meta.metric : std::nullopt;
}

}  // namespace

std::string CheckpointName(int64_t step) { return fmt::format("{}{:08}", kPrefix, step); }

absl::StatusOr<std::vector<CheckpointEntry>> ListCheckpoints(const fs::path& folder) {
  TANREN_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(folder));
  std::vector<CheckpointEntry> entries;
  for (const std::string& name : names) {
    const std::optional<int64_t> step = StepOf(name);
    if (step && IsWhole(folder / name)) entries.push_back({*step, folder / name});
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.step < b.step; });
  return entries;
}

absl::StatusOr<std::optional<fs::path>> LatestCheckpoint(const fs::path& folder) {
  if (auto name = ReadFile(folder / kLatest, 256); name.ok()) {
    if (name->ends_with('\n')) name->pop_back();
    if (StepOf(*name) && IsWhole(folder / *name)) return folder / *name;
  }
  TANREN_ASSIGN_OR_RETURN(const auto entries, ListCheckpoints(folder));
  if (entries.empty()) return std::nullopt;
  return entries.back().path;
}

absl::StatusOr<fs::path> MakeIncoming(const fs::path& folder, int64_t step, const DiskHook& hook) {
  if (step < 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: step {} can't have a checkpoint", folder.string(), step));
  }
  TANREN_RETURN_IF_ERROR(BeforeDiskOperation(hook, "mkdir", folder));
  TANREN_RETURN_IF_ERROR(MakeDirectories(folder));
  TANREN_RETURN_IF_ERROR(RemoveLeftovers(folder, hook));
  const fs::path incoming =
      folder / fmt::format("{}{}{}", CheckpointName(step), kIncoming, Suffix());
  TANREN_RETURN_IF_ERROR(BeforeDiskOperation(hook, "mkdir", incoming));
  TANREN_RETURN_IF_ERROR(MakeDirectories(incoming));
  return incoming;
}

absl::Status Publish(const fs::path& incoming, const fs::path& folder, int64_t step,
                     const DiskHook& hook) {
  const fs::path path = folder / CheckpointName(step);
  TANREN_RETURN_IF_ERROR(BeforeDiskOperation(hook, "fsync", incoming));
  TANREN_RETURN_IF_ERROR(SyncToDisk(incoming));
  std::error_code error;
  if (fs::exists(path, error)) {
    TANREN_RETURN_IF_ERROR(Replace(incoming, path, hook));
  } else {
    TANREN_RETURN_IF_ERROR(Rename(incoming, path, hook));
  }
  TANREN_RETURN_IF_ERROR(BeforeDiskOperation(hook, "fsync", folder));
  TANREN_RETURN_IF_ERROR(SyncToDisk(folder));
  TANREN_RETURN_IF_ERROR(BeforeDiskOperation(hook, "write", folder / kLatest));
  return WriteFileAtomically(folder / kLatest, CheckpointName(step) + "\n");
}

absl::Status Prune(const fs::path& folder, int64_t latest, const RetentionPolicy& policy,
                   const DiskHook& hook) {
  TANREN_ASSIGN_OR_RETURN(const auto entries, ListCheckpoints(folder));
  std::vector<RetainedStep> steps;
  for (const CheckpointEntry& entry : entries) {
    steps.push_back({entry.step, policy.keep_best > 0 ? MetricOf(entry.path) : std::nullopt});
  }
  for (const int64_t step : StepsToDelete(std::move(steps), latest, policy)) {
    const fs::path path = folder / CheckpointName(step);
    TANREN_RETURN_IF_ERROR(Rename(path, DeletingName(path), hook));
  }
  return RemoveLeftovers(folder, hook);
}

}  // namespace tanren::parallel
