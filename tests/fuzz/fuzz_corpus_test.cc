// Gives every saved input to its fuzz target: what was interesting to a fuzzer once, and what broke
// a reader once.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/base/file.h"

// Each target's function, under a name of its own.
#define FUZZ_TARGET(name) extern "C" int FuzzTarget_##name(const uint8_t* data, size_t size);
#include "tests/fuzz/fuzz_targets.inc"
#undef FUZZ_TARGET

namespace tanren {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostMemory = int64_t{1} << 30;

struct Target {
  const char* name;
  int (*function)(const uint8_t*, size_t);
};

constexpr Target kTargets[] = {
#define FUZZ_TARGET(name) {#name, FuzzTarget_##name},
#include "tests/fuzz/fuzz_targets.inc"
#undef FUZZ_TARGET
};

struct SavedInput {
  Target target;
  fs::path file;
};

std::ostream& operator<<(std::ostream& stream, const SavedInput& input) {
  return stream << input.file.string();
}

std::vector<SavedInput> SavedInputs() {
  std::vector<SavedInput> inputs;
  for (const Target& target : kTargets) {
    for (const char* kind : {"corpus", "crashes"}) {
      const fs::path folder = fs::path("tests/fuzz") / kind / target.name;
      if (!fs::is_directory(folder)) continue;
      for (const auto& entry : fs::directory_iterator(folder)) {
        inputs.push_back({target, entry.path()});
      }
    }
  }
  std::sort(inputs.begin(), inputs.end(),
            [](const SavedInput& a, const SavedInput& b) { return a.file < b.file; });
  return inputs;
}

int64_t PeakMemory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} << 10;
}

TEST(FuzzCorpus, EachTargetHasSavedInputs) {
  const std::vector<SavedInput> inputs = SavedInputs();
  for (const Target& target : kTargets) {
    EXPECT_TRUE(std::any_of(inputs.begin(), inputs.end(), [&](const SavedInput& input) {
      return std::string_view(input.target.name) == target.name;
    })) << target.name;
  }
}

class SavedInputTest : public testing::TestWithParam<SavedInput> {};

TEST_P(SavedInputTest, IsTakenOrRefusedInLittleMemory) {
  const auto content = ReadFile(GetParam().file);
  ASSERT_TRUE(content.ok()) << content.status();
  GetParam().target.function(reinterpret_cast<const uint8_t*>(content->data()), content->size());
  EXPECT_LT(PeakMemory(), kMostMemory);
}

INSTANTIATE_TEST_SUITE_P(Fuzz, SavedInputTest, testing::ValuesIn(SavedInputs()),
                         [](const testing::TestParamInfo<SavedInput>& info) {
                           const SavedInput& input = info.param;
                           std::string name = fmt::format("{}_{}", input.target.name,
                                                          input.file.filename().string());
                           std::replace_if(
                               name.begin(), name.end(),
                               [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
                           return name;
                         });

}  // namespace
}  // namespace tanren
