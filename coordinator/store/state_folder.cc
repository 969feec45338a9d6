#include "coordinator/store/state_folder.h"

#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tanren::coordinator {
namespace fs = std::filesystem;

// The numbers are the kernel's (linux/magic.h) and, where it has none, of the filesystems' own
// sources.
std::optional<std::string_view> NetworkFilesystem(uint64_t type) {
  static constexpr std::pair<uint64_t, std::string_view> kKnown[] = {
      {0x6969, "NFS"},        {0x517B, "SMB"},        {0xFF534D42, "CIFS"},
      {0xFE534D42, "SMB2"},   {0x65735546, "FUSE"},   {0x0BD00BD0, "Lustre"},
      {0x47504653, "GPFS"},   {0x00C36400, "Ceph"},   {0x5346414F, "AFS"},
      {0x6B414653, "AFS"},    {0x01021997, "9P"},     {0x7461636F, "OCFS2"},
      {0x01161970, "GFS2"},   {0x19830326, "BeeGFS"}, {0xAAD7AAEA, "PanFS"},
      {0x73757245, "Coda"},   {0x564C, "NCP"},        {0x20030528, "OrangeFS"},
      {0x786F4256, "vboxsf"}, {0xBACBACBC, "vmhgfs"}, {0x7C7C6673, "prl_fs"}};
  for (const auto& [number, name] : kKnown) {
    if (type == number) return name;
  }
  return std::nullopt;
}

absl::Status CheckIsLocalDisk(const fs::path& folder) {
  struct statfs info;
  if (statfs(folder.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno,
                               fmt::format("{}: can't ask for its filesystem", folder.string()));
  }
  // f_type is signed, and 32 bits of it count.
  const auto name = NetworkFilesystem(static_cast<uint32_t>(info.f_type));
  if (!name) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "{}: on a network filesystem ({}), whose locks and order of writes don't keep a history "
      "whole; name a folder on a disk of this machine with --state",
      folder.string(), *name));
}

absl::StatusOr<LockFile> TakeStateFolder(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) {
    if (folder.has_parent_path()) TANREN_RETURN_IF_ERROR(MakeDirectories(folder.parent_path()));
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
      return absl::ErrnoToStatus(errno, fmt::format("{}: can't make the folder", folder.string()));
    }
    if (folder.has_parent_path()) TANREN_RETURN_IF_ERROR(SyncToDisk(folder.parent_path()));
  }
  struct stat info;
  if (stat(folder.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't stat", folder.string()));
  }
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(fmt::format("{}: not a folder", folder.string()));
  }
  if ((info.st_mode & 0022) != 0) {
    return absl::FailedPreconditionError(fmt::format(
        "{}: others may write in it (mode {:04o}), and the history of all jobs isn't for that; "
        "name a folder of its own, or run: chmod 700 {}",
        folder.string(), info.st_mode & 07777, folder.string()));
  }
  TANREN_RETURN_IF_ERROR(CheckIsLocalDisk(folder));
  return LockFile::Take(folder / "lock");
}

}  // namespace tanren::coordinator
