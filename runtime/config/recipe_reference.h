// The schema of recipes as a page of the documentation.
#ifndef TANREN_RUNTIME_CONFIG_RECIPE_REFERENCE_H_
#define TANREN_RUNTIME_CONFIG_RECIPE_REFERENCE_H_

#include <string>

namespace tanren {

// docs/recipe.md: Markdown, with a table for each section: key, what it takes, its default, and
// what proto/recipe.proto says of it.
std::string RecipeReference();

}  // namespace tanren

#endif  // TANREN_RUNTIME_CONFIG_RECIPE_REFERENCE_H_
