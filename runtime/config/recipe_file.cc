#include "runtime/config/recipe_file.h"

#include <cstdint>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/config/checks.h"
#include "runtime/config/overrides.h"
#include "runtime/config/paths.h"
#include "runtime/config/problems.h"
#include "runtime/config/reader.h"
#include "runtime/config/recipe_text.h"
#include "runtime/config/yaml_node.h"

namespace tanren {

namespace fs = std::filesystem;

absl::StatusOr<Recipe> LoadRecipe(const fs::path& path, std::span<const std::string> overrides) {
  constexpr uint64_t kLimit = 1 << 20;
  TANREN_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kLimit));
  return ParseRecipe(text, path, overrides);
}

absl::StatusOr<Recipe> ParseRecipe(const std::string& text, const fs::path& name,
                                   std::span<const std::string> overrides) {
  TANREN_ASSIGN_OR_RETURN(config::YamlNode root, config::ParseYaml(text, name.string()));
  // An empty file is a recipe with nothing given: what it lacks is reported as of any other.
  if (root.kind == config::YamlNode::Kind::kNull) root.kind = config::YamlNode::Kind::kMap;
  config::Problems problems;
  for (const std::string& assignment : overrides) {
    config::ApplyOverride(assignment, root, problems);
  }
  config::Places places;
  Recipe recipe = config::ReadTree(root, problems, places);
  config::ResolvePaths(name.parent_path(), places, recipe, problems);
  FillDefaults(recipe);
  config::CheckAgreement(recipe, places, problems);
  TANREN_RETURN_IF_ERROR(problems.ToStatus());
  return recipe;
}

}  // namespace tanren
