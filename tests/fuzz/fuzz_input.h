// What the fuzz targets share. A target reads its input as a file or text from outside: whatever it
// holds, the reader takes it or refuses it with a Status, in bounded time and memory.
#ifndef TANREN_TESTS_FUZZ_FUZZ_INPUT_H_
#define TANREN_TESTS_FUZZ_FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "runtime/formats/weights.h"
#include "runtime/text/tokenizer.h"

namespace tanren::fuzz {

inline std::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Throws unless `condition` holds: the target's own promise is broken.
void Demand(bool condition, std::string_view promise);

// A folder in memory for readers that take paths; it goes away with the object.
class InputFolder {
 public:
  InputFolder();
  ~InputFolder();
  InputFolder(const InputFolder&) = delete;
  InputFolder& operator=(const InputFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Replaces the file `name` in it, and returns its path.
  std::filesystem::path Write(const std::string& name, std::string_view content) const;

 private:
  std::filesystem::path path_;
};

// Reads every tensor of at most 65,536 elements.
void ReadTensors(const formats::WeightsReader& reader);

// Encodes a short text of many kinds of characters, checks the ranges, and decodes.
void UseTokenizer(const text::Tokenizer& tokenizer);

}  // namespace tanren::fuzz

#endif  // TANREN_TESTS_FUZZ_FUZZ_INPUT_H_
