// What the tests of runtime/formats share: golden files, and files of their own making.
#ifndef TANREN_TESTS_RUNTIME_FORMATS_GOLDEN_H_
#define TANREN_TESTS_RUNTIME_FORMATS_GOLDEN_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "nlohmann/json.hpp"

namespace tanren::formats {

// tests/golden/formats/<name>
std::filesystem::path GoldenPath(std::string_view name);
nlohmann::json GoldenJson(std::string_view name);
std::string FileContent(const std::filesystem::path& path);

// The bits of floats, as the golden files list them; NaN is one number whatever its bits.
std::vector<uint32_t> Bits(const std::vector<float>& values);
std::vector<uint32_t> Bits(const nlohmann::json& bits);
std::vector<float> Floats(const nlohmann::json& bits);

// A new, empty folder of this name for the running test.
std::filesystem::path EmptyFolder(std::string_view name);
// Writes it, without waiting for the disk.
std::filesystem::path WriteFile(const std::filesystem::path& path, std::string_view content);

}  // namespace tanren::formats

#endif  // TANREN_TESTS_RUNTIME_FORMATS_GOLDEN_H_
