#include "runtime/formats/model_files_text.h"

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/formats/json.h"

namespace tanren::formats {
namespace {

constexpr uint64_t kLimit = uint64_t{256} << 20;

absl::Status NoTemplate(std::string_view where, std::string_view found) {
  return absl::InvalidArgumentError(fmt::format(
      "{}: chat_template: found {}, expected a string or a list of objects with the strings name "
      "and template",
      where, found));
}

}  // namespace

absl::StatusOr<std::string> ReadRequiredText(const std::filesystem::path& directory,
                                             const char* name) {
  TANREN_ASSIGN_OR_RETURN(std::optional<std::string> text, ReadOptionalText(directory, name));
  if (!text) {
    return absl::NotFoundError(fmt::format("{}: there is no {} in it", directory.string(), name));
  }
  return *std::move(text);
}

absl::StatusOr<std::optional<std::string>> ReadOptionalText(const std::filesystem::path& directory,
                                                            const char* name) {
  absl::StatusOr<std::string> text = ReadFile(directory / name, kLimit);
  if (absl::IsNotFound(text.status())) return std::optional<std::string>();
  if (!text.ok()) return text.status();
  return std::optional(*std::move(text));
}

absl::StatusOr<std::optional<std::string>> ChatTemplateOf(std::string_view tokenizer_config_json,
                                                          std::string_view where) {
  TANREN_ASSIGN_OR_RETURN(const nlohmann::json config,
                          ParseJsonObject(tokenizer_config_json, where));
  const auto found = config.find("chat_template");
  if (found == config.end() || found->is_null()) return std::optional<std::string>();
  if (found->is_string()) return std::optional(found->get<std::string>());
  if (!found->is_array()) return NoTemplate(where, found->type_name());
  std::optional<std::string> chosen;
  for (const nlohmann::json& entry : *found) {
    if (!entry.is_object() || !entry.contains("name") || !entry["name"].is_string() ||
        !entry.contains("template") || !entry["template"].is_string()) {
      return NoTemplate(where, "another entry in the list");
    }
    if (entry["name"] == "default") chosen = entry["template"].get<std::string>();
  }
  return chosen;
}

}  // namespace tanren::formats
