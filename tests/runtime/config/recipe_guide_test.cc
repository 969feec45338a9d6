#include "runtime/config/recipe_guide.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "runtime/config/recipe_text.h"
#include "tests/runtime/config/reading.h"

namespace tanren {
namespace {

using ::testing::HasSubstr;

TEST(RecipeGuide, ItIsARecipeOfDefaultsThatLacksOnlyWhatHasNone) {
  const std::vector<std::string> given = {"model.path=/m", "data.sources=[{path: /a}]",
                                          "training.steps=3"};
  const absl::StatusOr<Recipe> guide = Parse(RecipeGuide(), given);
  ASSERT_TRUE(guide.ok()) << guide.status() << "\n" << RecipeGuide();
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*guide, *Parse("", given)));
}

TEST(RecipeGuide, KeysHaveTheSchemasCommentsAndWhatTheyTake) {
  const std::string guide = RecipeGuide();
  EXPECT_THAT(guide, HasSubstr("\n  # Gradients are scaled down to this global norm; 0: never.\n"
                               "  clip_norm: 1  # a number of 0 or more\n"));
  EXPECT_THAT(guide, HasSubstr("\n  #   fp16: with loss scaling\n"));
  EXPECT_THAT(guide, HasSubstr("\n  #     path: \"\"  # a path, required\n"));
  // Every key that a resolved recipe has is in the guide.
  for (const auto& [key, value] : RecipeFields(Recipe())) {
    const std::string name = key.substr(key.rfind('.') + 1);
    EXPECT_TRUE(guide.find(" " + name + ":") != std::string::npos ||
                guide.find("\n" + name + ":") != std::string::npos)
        << key;
  }
}

}  // namespace
}  // namespace tanren
