// The highest epoch that this machine's agents have obeyed, kept on disk: an agent that starts
// again is not taken in by a coordinator from which another has taken over meanwhile.
#ifndef TANREN_COORDINATOR_AGENT_REMEMBERED_EPOCH_H_
#define TANREN_COORDINATOR_AGENT_REMEMBERED_EPOCH_H_

#include <cstdint>
#include <filesystem>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tanren::coordinator {

// In <state>/epoch, a decimal number. 0 where there is none; kDataLoss, naming the file, where
// something else stands there.
absl::StatusOr<uint64_t> RememberedEpoch(const std::filesystem::path& state);
// Durable once it returns OK.
absl::Status RememberEpoch(const std::filesystem::path& state, uint64_t epoch);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_AGENT_REMEMBERED_EPOCH_H_
