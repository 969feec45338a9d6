#include "coordinator/client/endpoint.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "coordinator/client/settings_file.h"
#include "coordinator/wire/protocol.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

std::string FirstOf(std::initializer_list<std::string> choices) {
  for (const std::string& choice : choices) {
    if (!choice.empty()) return choice;
  }
  return {};
}

}  // namespace

std::string OwnEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

fs::path UpFolder(const Environment& environment) {
  return fs::path(environment("HOME")) / ".local/state/tanren/up";
}

absl::StatusOr<Endpoint> FindEndpoint(const EndpointOptions& options,
                                      const Environment& environment) {
  TANREN_ASSIGN_OR_RETURN(
      auto settings, ReadSettings(fs::path(environment("HOME")) / ".config/tanren/client.yaml"));
  Endpoint endpoint;
  endpoint.address =
      FirstOf({options.address, environment("TANREN_COORDINATOR"), settings["address"]});
  endpoint.token_file =
      FirstOf({options.token_file, environment("TANREN_TOKEN_FILE"), settings["token_file"]});
  endpoint.ca_file = FirstOf({options.ca_file, environment("TANREN_CA_FILE"), settings["ca_file"]});
  endpoint.certificate_file = FirstOf({options.certificate_file, settings["certificate_file"]});
  endpoint.key_file = FirstOf({options.key_file, settings["key_file"]});

  const fs::path up = UpFolder(environment);
  if (endpoint.address.empty()) {
    const auto text = ReadFile(up / "endpoint", 4096);
    if (text.ok()) endpoint.address = std::string(absl::StripAsciiWhitespace(*text));
  }
  if (endpoint.token_file.empty() && fs::exists(up / "admin.token")) {
    endpoint.token_file = up / "admin.token";
  }
  if (endpoint.address.empty() && endpoint.token_file.empty()) {
    return absl::UnavailableError(
        "no coordinator is known: start one on this machine with `tanren up`, or name one with "
        "--coordinator HOST:PORT and --token-file FILE");
  }
  if (endpoint.address.empty()) endpoint.address = kDefaultAddress;
  if (endpoint.token_file.empty()) {
    return absl::UnauthenticatedError(
        fmt::format("no token for the coordinator at {}: name its file with --token-file, "
                    "$TANREN_TOKEN_FILE, or token_file in ~/.config/tanren/client.yaml",
                    endpoint.address));
  }
  return endpoint;
}

}  // namespace tanren::coordinator
