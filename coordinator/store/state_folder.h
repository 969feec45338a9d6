// The folder that holds a coordinator's state: private, on a disk of this machine, and held by one
// process.
#ifndef TANREN_COORDINATOR_STORE_STATE_FOLDER_H_
#define TANREN_COORDINATOR_STORE_STATE_FOLDER_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/lock_file.h"

namespace tanren::coordinator {

// The name of the network filesystem that statfs's f_type stands for; nullopt for one that keeps
// its locks and its order of writes on this machine, as far as is known. FUSE counts as a network
// filesystem: what stands behind it isn't known.
std::optional<std::string_view> NetworkFilesystem(uint64_t type);

// kFailedPrecondition, saying what to do, on a network filesystem.
absl::Status CheckIsLocalDisk(const std::filesystem::path& folder);

// Makes the folder (mode 0700) and what is above it, and takes <folder>/lock. kFailedPrecondition
// if it is on a network filesystem or if others may write in it; kUnavailable if it is held. One
// that others may read is left so: the files in it are 0600.
absl::StatusOr<LockFile> TakeStateFolder(const std::filesystem::path& folder);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STORE_STATE_FOLDER_H_
