// Recipes as files. Reading is strict: what isn't in proto/recipe.proto is an error, and one
// reading reports all problems.
#ifndef TANREN_RUNTIME_CONFIG_RECIPE_FILE_H_
#define TANREN_RUNTIME_CONFIG_RECIPE_FILE_H_

#include <filesystem>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "proto/recipe.pb.h"

namespace tanren {

// Reads a recipe of at most 1 MiB. Each override is "key=value": a dotted path and YAML, as in
// `optimizer.learning_rate=1e-4`, `data.sources.0.weight=2` or `data.sources=[{path: a.jsonl}]`.
//
// In the result every field is set (what isn't given to its default), and every path is absolute:
// relative ones were relative to the recipe's folder, those of overrides to the working directory,
// and those of data to data.folder if it is given. Whether the files exist isn't looked at.
//
// kInvalidArgument with one line for each problem: "file:line:column: key: what was found and what
// was expected", where a problem of an override names "--set key=value" instead.
absl::StatusOr<Recipe> LoadRecipe(const std::filesystem::path& path,
                                  std::span<const std::string> overrides = {});

// The same for the text of a recipe. `name` is the file's in errors; relative paths are relative to
// its folder.
absl::StatusOr<Recipe> ParseRecipe(const std::string& text, const std::filesystem::path& name,
                                   std::span<const std::string> overrides = {});

}  // namespace tanren

#endif  // TANREN_RUNTIME_CONFIG_RECIPE_FILE_H_
