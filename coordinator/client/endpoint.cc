#include "coordinator/client/endpoint.h"

#include <cstdlib>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "coordinator/wire/protocol.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/config/paths.h"
#include "runtime/config/yaml_node.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLongestSettings = 64 << 10;

// What the file says, by key; nothing if there is no file.
absl::StatusOr<std::map<std::string, std::string>> ReadSettings(const fs::path& file) {
  std::map<std::string, std::string> settings{{"address", ""},
                                              {"token_file", ""},
                                              {"ca_file", ""},
                                              {"certificate_file", ""},
                                              {"key_file", ""}};
  if (!fs::exists(file)) return settings;
  TANREN_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kLongestSettings));
  TANREN_ASSIGN_OR_RETURN(const config::YamlNode root, config::ParseYaml(text, file.string()));
  for (size_t i = 0; i < root.keys.size(); ++i) {
    const config::YamlNode& key = root.keys[i];
    const config::YamlNode& value = root.items[i];
    const auto setting = settings.find(key.scalar);
    if (setting == settings.end()) {
      return absl::InvalidArgumentError(
          fmt::format("{}: unknown key {}: expected address, token_file, ca_file, "
                      "certificate_file or key_file",
                      key.place.text, config::DescribeNode(key)));
    }
    if (value.kind != config::YamlNode::Kind::kScalar) {
      return absl::InvalidArgumentError(fmt::format("{}: {}: found {}, expected text",
                                                    value.place.text, key.scalar,
                                                    config::DescribeNode(value)));
    }
    setting->second = value.scalar;
    if (key.scalar != "address") {
      TANREN_ASSIGN_OR_RETURN(const std::string path, config::ExpandPath(value.scalar));
      setting->second = config::AbsolutePath(path, file.parent_path());
    }
  }
  return settings;
}

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
