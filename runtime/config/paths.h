// Paths of a recipe: `~`, variables, and what a relative one is relative to.
#ifndef TANREN_RUNTIME_CONFIG_PATHS_H_
#define TANREN_RUNTIME_CONFIG_PATHS_H_

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "proto/recipe.pb.h"
#include "runtime/config/problems.h"

namespace tanren::config {

// `path` with a leading ~ or ~/ as the home folder, and ${NAME} or ${NAME:-default} as the
// environment's value; $${ stands for ${. kInvalidArgument if a variable without a default is unset
// or empty, or a ${ isn't closed.
absl::StatusOr<std::string> ExpandPath(const std::string& path);

// The text that ExpandPath turns into `path`.
std::string EscapePath(const std::string& path);

// Absolute and without . and ..: a relative `path` is in `folder`, which may be relative to the
// working directory. Empty stays empty.
std::string AbsolutePath(const std::string& path, const std::filesystem::path& folder);

// Where data given as `path` is: relative paths are in the recipe's data.folder if it has one, else
// in `otherwise`. What LoadRecipe does; for data that a command names itself.
std::string DataPath(const Recipe& recipe, const std::string& path,
                     const std::filesystem::path& otherwise);

// Makes every path of the recipe absolute: `folder` is the recipe's own.
void ResolvePaths(const std::filesystem::path& folder, const Places& places, Recipe& recipe,
                  Problems& problems);

}  // namespace tanren::config

#endif  // TANREN_RUNTIME_CONFIG_PATHS_H_
