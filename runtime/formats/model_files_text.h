// The small files of a Hugging Face directory, read as texts.
#ifndef TANREN_RUNTIME_FORMATS_MODEL_FILES_TEXT_H_
#define TANREN_RUNTIME_FORMATS_MODEL_FILES_TEXT_H_

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace tanren::formats {

// Each up to 256 MiB. kNotFound names the file and the directory.
absl::StatusOr<std::string> ReadRequiredText(const std::filesystem::path& directory,
                                             const char* name);
absl::StatusOr<std::optional<std::string>> ReadOptionalText(const std::filesystem::path& directory,
                                                            const char* name);

// The chat_template of a tokenizer_config.json: a text, or a list of {name, template} of which the
// one named "default" counts.
absl::StatusOr<std::optional<std::string>> ChatTemplateOf(std::string_view tokenizer_config_json,
                                                          std::string_view where);

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_MODEL_FILES_TEXT_H_
