// recipe: the schema with its comments and defaults, or what a file resolves to.
#include <memory>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/config/recipe_file.h"
#include "runtime/config/recipe_guide.h"
#include "runtime/config/recipe_reference.h"
#include "runtime/config/recipe_text.h"
#include "trainer/commands/commands.h"

namespace tanren::trainer {

void AddRecipe(CLI::App& program, Action& action) {
  struct Arguments {
    std::string recipe;
    std::vector<std::string> overrides;
    bool markdown = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand(
      "recipe",
      "Every key of a recipe, explained; of a file: check it, and show what it resolves to");
  command->add_option("recipe", arguments->recipe, "A YAML file");
  command->add_option("--set", arguments->overrides, "Overrides a setting of the recipe");
  command->add_flag("--markdown", arguments->markdown, "Every key as docs/recipe.md");
  command->callback([=, &action] {
    action = [=]() -> absl::StatusOr<int> {
      if (arguments->markdown) {
        fmt::print("{}", RecipeReference());
        return 0;
      }
      if (arguments->recipe.empty()) {
        fmt::print("{}", RecipeGuide());
        return 0;
      }
      TANREN_ASSIGN_OR_RETURN(const Recipe recipe,
                              LoadRecipe(arguments->recipe, arguments->overrides));
      fmt::print("{}", WriteRecipe(recipe));
      return 0;
    };
  });
}

}  // namespace tanren::trainer
