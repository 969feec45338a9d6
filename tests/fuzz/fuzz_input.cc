#include "tests/fuzz/fuzz_input.h"

#include <stdlib.h>

#include <fstream>
#include <stdexcept>
#include <vector>

#include "runtime/base/error.h"

namespace tanren::fuzz {

namespace fs = std::filesystem;

void Demand(bool condition, std::string_view promise) {
  if (!condition) throw std::logic_error(fmt::format("broken promise: {}", promise));
}

InputFolder::InputFolder() {
  std::error_code ignored;
  const fs::path memory = "/dev/shm";
  const fs::path parent = fs::is_directory(memory, ignored) ? memory : fs::temp_directory_path();
  std::string name = (parent / "tanren-fuzz.XXXXXX").string();
  Demand(mkdtemp(name.data()) != nullptr, "a folder for inputs can be made");
  path_ = name;
}

InputFolder::~InputFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path InputFolder::Write(const std::string& name, std::string_view content) const {
  const fs::path path = path_ / name;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  Demand(file.good(), "the input can be written");
  return path;
}

void ReadTensors(const formats::WeightsReader& reader) {
  constexpr int64_t kMostElements = 1 << 16;
  for (const formats::TensorInfo& tensor : reader.tensors()) {
    if (tensor.numel() > kMostElements) continue;
    const absl::StatusOr<std::vector<float>> values = reader.Read(tensor.name);
    Demand(values.ok() == formats::HasFloatValues(tensor.dtype), "what opens can be read");
  }
}

void UseTokenizer(const text::Tokenizer& tokenizer) {
  constexpr std::string_view kText =
      "Hello  w\u00f6rld 12345's\r\n\t<|im_start|>e\u0301 \u65e5\u672c \U0001F600\xff!";
  for (const text::SpecialTokens mode :
       {text::SpecialTokens::kParse, text::SpecialTokens::kPlainText}) {
    try {
      const text::Encoding encoding = tokenizer.EncodeWithOffsets(kText, mode);
      Demand(encoding.ids.size() == encoding.ranges.size(), "each token has a range");
      for (const text::ByteRange& range : encoding.ranges) {
        Demand(range.begin <= range.end && range.end <= static_cast<int64_t>(kText.size()),
               "ranges lie in the text");
      }
      Demand(tokenizer.Encode(kText, mode) == encoding.ids, "both ways to encode give the same");
      tokenizer.Decode(encoding.ids, /*skip_special=*/true);
      text::StreamingDecoder decoder(tokenizer, /*skip_special=*/false);
      std::string streamed;
      for (const int32_t id : encoding.ids) streamed += decoder.Push(id);
      streamed += decoder.Finish();
      Demand(streamed == tokenizer.Decode(encoding.ids, false), "streaming decodes the same");
    } catch (const Error&) {
      // A pattern that takes too many steps.
    }
  }
}

}  // namespace tanren::fuzz
