#include "trainer/report/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tanren::trainer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Texts(const std::vector<std::string>& recipes) {
  std::vector<std::string> texts;
  for (const DifferingSetting& setting : DifferingSettings(recipes)) {
    std::string& text = texts.emplace_back(setting.key);
    for (const std::string& value : setting.values) text += " | " + value;
  }
  return texts;
}

TEST(DifferingSettings, NamesKeysOfSectionsAndLists) {
  const std::string first =
      "# A comment.\nname: a\n\ndata:\n  sources:\n    - path: /x.jsonl\n      weight: 0\n"
      "    - path: /y.jsonl\n      weight: 1\n  packing: true\ntraining:\n  steps: 40\n";
  const std::string second =
      "name: b\n\ndata:\n  sources:\n    - path: /x.jsonl\n      weight: 0\n"
      "    - path: /z: 1.jsonl\n      weight: 1\n  packing: false\ntraining:\n  steps: 40\n";
  EXPECT_THAT(Texts({first, second}), ElementsAre("data.sources[1].path | /y.jsonl | /z: 1.jsonl",
                                                  "data.packing | true | false"));
}

TEST(DifferingSettings, AreEmptyWhereARecipeDoesNotHaveTheKey) {
  EXPECT_THAT(Texts({"a:\n  b: 1\n", "a:\n  c: 2\n"}), ElementsAre("a.b | 1 | ", "a.c |  | 2"));
}

TEST(DifferingSettings, ValuesOfAListCountByTheirPlace) {
  EXPECT_THAT(Texts({"stop:\n  - x\n  - y\n", "stop:\n  - x\n  - z\n"}),
              ElementsAre("stop[1] | y | z"));
}

TEST(DifferingSettings, OfOneRecipeOrEqualOnesAreNone) {
  EXPECT_THAT(Texts({"a: 1\n"}), IsEmpty());
  EXPECT_THAT(Texts({"a: 1\n", "a: 1\n"}), IsEmpty());
  EXPECT_THAT(Texts({"", ""}), IsEmpty());
}

}  // namespace
}  // namespace tanren::trainer
