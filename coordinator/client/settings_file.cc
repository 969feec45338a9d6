#include "coordinator/client/settings_file.h"

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/config/paths.h"
#include "runtime/config/yaml_node.h"

namespace tanren::coordinator {
namespace {

constexpr uint64_t kLongestSettings = 64 << 10;

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> ReadSettings(const std::filesystem::path& file) {
  std::map<std::string, std::string> settings{{"address", ""},
                                              {"token_file", ""},
                                              {"ca_file", ""},
                                              {"certificate_file", ""},
                                              {"key_file", ""}};
  if (!std::filesystem::exists(file)) return settings;
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

}  // namespace tanren::coordinator
