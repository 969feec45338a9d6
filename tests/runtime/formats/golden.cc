#include "tests/runtime/formats/golden.h"

#include <unistd.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>

#include "gtest/gtest.h"

namespace tanren::formats {

namespace fs = std::filesystem;

fs::path GoldenPath(std::string_view name) { return fs::path("tests/golden/formats") / name; }

std::string FileContent(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

nlohmann::json GoldenJson(std::string_view name) {
  return nlohmann::json::parse(FileContent(GoldenPath(name)));
}

std::vector<uint32_t> Bits(const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  for (const float value : values) {
    bits.push_back(std::isnan(value) ? 0x7fc00000u : std::bit_cast<uint32_t>(value));
  }
  return bits;
}

std::vector<float> Floats(const nlohmann::json& bits) {
  std::vector<float> values;
  for (const nlohmann::json& value : bits) {
    values.push_back(std::bit_cast<float>(value.get<uint32_t>()));
  }
  return values;
}

std::vector<uint32_t> Bits(const nlohmann::json& bits) { return Bits(Floats(bits)); }

fs::path EmptyFolder(std::string_view name) {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  const fs::path folder =
      fs::path(testing::TempDir()) / ("formats." + std::to_string(getpid())) / test->name() / name;
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

fs::path WriteFile(const fs::path& path, std::string_view content) {
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

}  // namespace tanren::formats
