// Which coordinator a command talks to.
#ifndef TANREN_COORDINATOR_CLIENT_ENDPOINT_H_
#define TANREN_COORDINATOR_CLIENT_ENDPOINT_H_

#include <filesystem>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/wire/channel.h"

namespace tanren::coordinator {

// As std::getenv, but "" where nothing is set.
using Environment = std::function<std::string(const std::string& name)>;
std::string OwnEnvironment(const std::string& name);

// What the command line says; empty where it says nothing.
struct EndpointOptions {
  std::string address;
  std::string token_file;
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
};

// Where `tanren up` keeps what it starts: ~/.local/state/tanren/up.
std::filesystem::path UpFolder(const Environment& environment);

// Each of address, token and authority from the first that has it: the command line,
// $TANREN_COORDINATOR, $TANREN_TOKEN_FILE and $TANREN_CA_FILE, ~/.config/tanren/client.yaml
// (address, token_file, ca_file, certificate_file, key_file), and what `tanren up` left.
// kUnavailable if there is no coordinator to be found, and what to do.
absl::StatusOr<Endpoint> FindEndpoint(const EndpointOptions& options,
                                      const Environment& environment);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_ENDPOINT_H_
