// A recipe as text: for the run folder, for comparing, for telling two runs apart.
#ifndef TANREN_RUNTIME_CONFIG_RECIPE_TEXT_H_
#define TANREN_RUNTIME_CONFIG_RECIPE_TEXT_H_

#include <string>
#include <utility>
#include <vector>

#include "proto/recipe.pb.h"

namespace tanren {

// Gives every field that isn't set its default, so that what is equal in meaning is equal.
void FillDefaults(Recipe& recipe);

// Every field in the schema's order, defaults included, as YAML with a comment on top.
// ParseRecipe reads back the same recipe with its defaults filled in.
std::string WriteRecipe(const Recipe& recipe);

// Every field's dotted path ("data.sources[0].path") and its value as YAML, in the schema's order.
std::vector<std::pair<std::string, std::string>> RecipeFields(const Recipe& recipe);

// 16 hexadecimal digits that differ between recipes that differ. Only values other than the
// defaults count: a field that a later version adds doesn't change the digest.
std::string Digest(const Recipe& recipe);

struct RecipeDifference {
  std::string key;     // "optimizer.learning_rate"
  std::string before;  // as YAML; empty where there is none (an element of a list)
  std::string after;
};

// What differs, in the schema's order.
std::vector<RecipeDifference> Differences(const Recipe& before, const Recipe& after);

}  // namespace tanren

#endif  // TANREN_RUNTIME_CONFIG_RECIPE_TEXT_H_
