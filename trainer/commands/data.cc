#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/config/recipe_file.h"
#include "trainer/commands/commands.h"
#include "trainer/data/show_documents.h"
#include "trainer/model/pretrained.h"
#include "trainer/recipe_parts.h"
#include "trainer/threads.h"

namespace tanren::trainer {

void AddData(CLI::App& program, Action& action) {
  struct Arguments {
    std::string recipe;
    std::vector<std::string> overrides;
    int64_t documents = 5;
    std::string color = "auto";
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* data = program.add_subcommand("data", "Look at training data")->require_subcommand(1);
  CLI::App* show = data->add_subcommand(
      "show", "What the model will see, with the tokens that it is trained on marked");
  show->add_option("recipe", arguments->recipe, "A YAML file")->required();
  show->add_option("--set", arguments->overrides, "Overrides a setting of the recipe");
  show->add_option("-n,--documents", arguments->documents, "How many documents")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  show->add_option("--color", arguments->color, "Targets in green: auto (on a terminal), yes, no")
      ->check(CLI::IsMember({"auto", "yes", "no"}));
  show->callback([=, &action] {
    action = [=]() -> absl::StatusOr<int> {
      TANREN_ASSIGN_OR_RETURN(const Recipe recipe,
                              LoadRecipe(arguments->recipe, arguments->overrides));
      TANREN_ASSIGN_OR_RETURN(const PretrainedModel model,
                              OpenPretrained(ModelPathsOf(recipe.model())));
      ShowOptions options;
      options.documents = arguments->documents;
      options.color =
          arguments->color == "yes" || (arguments->color == "auto" && isatty(STDOUT_FILENO) != 0);
      options.threads = UsableCores();
      TANREN_ASSIGN_OR_RETURN(
          const std::string text,
          ShowDocuments(recipe, *model.text.tokenizer, model.text.chat_template.get(), options));
      fmt::print("{}", text);
      return 0;
    };
  });
}

}  // namespace tanren::trainer
