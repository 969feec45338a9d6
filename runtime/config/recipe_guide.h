// The schema of recipes as a page for people.
#ifndef TANREN_RUNTIME_CONFIG_RECIPE_GUIDE_H_
#define TANREN_RUNTIME_CONFIG_RECIPE_GUIDE_H_

#include <string>

namespace tanren {

// Every key with its default, as YAML, with the comments of proto/recipe.proto and what each key
// takes. It is a recipe itself, which lacks only what has no default: a model, data and a length.
std::string RecipeGuide();

}  // namespace tanren

#endif  // TANREN_RUNTIME_CONFIG_RECIPE_GUIDE_H_
