// The file that a token is kept in.
#ifndef TANREN_COORDINATOR_WIRE_TOKEN_FILE_H_
#define TANREN_COORDINATOR_WIRE_TOKEN_FILE_H_

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"

namespace tanren::coordinator {

// The token in the file. kPermissionDenied if others may read it, kNotFound, kInvalidArgument.
absl::StatusOr<std::string> ReadToken(const std::filesystem::path& file);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_WIRE_TOKEN_FILE_H_
