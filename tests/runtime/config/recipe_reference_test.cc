#include "runtime/config/recipe_reference.h"

#include <fstream>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/recipe.pb.h"
#include "runtime/config/recipe_text.h"

namespace tanren {
namespace {

using ::testing::HasSubstr;

TEST(RecipeReference, ThePageInDocsIsWhatTheSchemaSays) {
  std::ifstream file("docs/recipe.md");
  std::stringstream page;
  page << file.rdbuf();
  EXPECT_EQ(page.str(), RecipeReference())
      << "build/release/trainer/tanren-worker recipe --markdown > docs/recipe.md";
}

TEST(RecipeReference, EveryKeyHasARowInItsSection) {
  const std::string page = RecipeReference();
  for (const auto& [key, value] : RecipeFields(Recipe())) {
    const size_t dot = key.rfind('.');
    const size_t section = dot == key.npos ? 0 : page.find("\n## " + key.substr(0, dot) + "\n");
    ASSERT_NE(section, page.npos) << key;
    const std::string rows = page.substr(section, page.find("\n## ", section + 1) - section);
    EXPECT_THAT(rows, HasSubstr("| `" + key.substr(dot + 1) + "` | ")) << key;
  }
}

TEST(RecipeReference, RowsHaveWhatAKeyTakesItsDefaultAndItsMeaning) {
  const std::string page = RecipeReference();
  EXPECT_THAT(page, HasSubstr("| `clip_norm` | a number of 0 or more | `1` | Gradients are scaled "
                              "down to this global norm; 0: never. |\n"));
  EXPECT_THAT(page, HasSubstr("<br>`fp16`: with loss scaling |\n"));
  EXPECT_THAT(page, HasSubstr("\n## data.sources[], data.validation[]\n"));
  EXPECT_THAT(page, HasSubstr("| `path` | a path | required | JSONL. |\n"));
  EXPECT_THAT(page, HasSubstr("&lt;run>/model")) << "no tag";
}

}  // namespace
}  // namespace tanren
