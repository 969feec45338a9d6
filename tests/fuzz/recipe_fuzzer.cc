// A recipe; one that is taken is written and read again.
#include <string>

#include "runtime/config/recipe_file.h"
#include "runtime/config/recipe_text.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  const auto recipe = ParseRecipe(std::string(fuzz::Text(data, size)), "/recipes/input.yaml");
  if (!recipe.ok()) return 0;
  const auto again = ParseRecipe(WriteRecipe(*recipe), "/recipes/written.yaml");
  fuzz::Demand(again.ok(), "a recipe that was written can be read");
  fuzz::Demand(Differences(*recipe, *again).empty(), "a recipe reads back the same");
  return 0;
}
