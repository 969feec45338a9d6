// Overrides of a recipe on the command line, one a line.
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "runtime/config/recipe_file.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMostOverrides = 16;
  const std::string_view input = tanren::fuzz::Text(data, size);
  std::vector<std::string> overrides =
      absl::StrSplit(absl::string_view(input.data(), input.size()), '\n');
  if (overrides.size() > kMostOverrides) overrides.resize(kMostOverrides);
  (void)tanren::ParseRecipe("run: {name: a}\ndata: {sources: [{path: a.jsonl}, {path: b.jsonl}]}\n",
                            "/recipes/input.yaml", overrides);
  return 0;
}
