// Reading small recipes in tests.
#ifndef TANREN_TESTS_RUNTIME_CONFIG_READING_H_
#define TANREN_TESTS_RUNTIME_CONFIG_READING_H_

#include <string>
#include <vector>

#include "runtime/config/recipe_file.h"

namespace tanren {

// Lines 1 to 3 of a recipe that lacks nothing; what a test adds begins at line 4.
inline constexpr char kComplete[] =
    "model: {path: m}\n"
    "data: {sources: [{path: a.jsonl}]}\n"
    "training: {steps: 10}\n";

inline absl::StatusOr<Recipe> Parse(const std::string& text,
                                    const std::vector<std::string>& overrides = {}) {
  return ParseRecipe(text, "r.yaml", overrides);
}

// What is wrong with it; empty if nothing.
inline std::string ProblemsOf(const std::string& text,
                              const std::vector<std::string>& overrides = {}) {
  return std::string(Parse(text, overrides).status().message());
}

}  // namespace tanren

#endif  // TANREN_TESTS_RUNTIME_CONFIG_READING_H_
