// A person's settings: ~/.config/tanren/client.yaml.
#ifndef TANREN_COORDINATOR_CLIENT_SETTINGS_FILE_H_
#define TANREN_COORDINATOR_CLIENT_SETTINGS_FILE_H_

#include <filesystem>
#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace tanren::coordinator {

// By key: address, token_file, ca_file, certificate_file and key_file, "" where the file, if there
// is one, doesn't say it. Paths are absolute: from the file's folder on. kInvalidArgument names the
// place in the file.
absl::StatusOr<std::map<std::string, std::string>> ReadSettings(const std::filesystem::path& file);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_SETTINGS_FILE_H_
