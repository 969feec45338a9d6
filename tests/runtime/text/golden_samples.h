// The samples that tests/golden/tokenizer.py and tokenizer_gguf.py write.
#ifndef TANREN_TESTS_RUNTIME_TEXT_GOLDEN_SAMPLES_H_
#define TANREN_TESTS_RUNTIME_TEXT_GOLDEN_SAMPLES_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/text/tokenizer.h"

namespace tanren::text {

struct GoldenSample {
  std::string line;  // of the file, to show where a test fails
  std::string text;
  std::vector<int32_t> ids;    // special tokens parsed
  std::vector<int32_t> plain;  // their text as ordinary characters
  // Of `ids`, in characters; empty where the file has none.
  std::vector<std::pair<int64_t, int64_t>> offsets;
  std::string decoded, decoded_skip;  // of `ids`, with and without special tokens
};

// The folder of the files: TANREN_TOKENIZER_CORPUS, or the one in the tree.
std::string GoldenFolder();

// The bytes of a file; a missing one throws Error.
std::string ReadGoldenFile(const std::string& path);

// <kind>.samples.jsonl; throws Error if there are less than 200.
std::vector<GoldenSample> ReadGoldenSamples(const std::string& kind);

// The tokenizers of published models: the file's name, and that of the pre-tokenizer in a GGUF.
struct PublishedTokenizer {
  const char* kind;
  const char* pre_tokenizer;
};
inline constexpr PublishedTokenizer kPublishedTokenizers[] = {
    {"gpt2", "gpt-2"}, {"llama3", "llama-bpe"}, {"qwen", "qwen2"}, {"smollm", "smollm"}};
// Of a test's parameter.
std::string KindOf(const testing::TestParamInfo<PublishedTokenizer>& info);

// Expects the ids and the text of each of the kind's samples; stops at the first that differs.
void ExpectGoldenSamples(const Tokenizer& tokenizer, const std::string& kind);

}  // namespace tanren::text

#endif  // TANREN_TESTS_RUNTIME_TEXT_GOLDEN_SAMPLES_H_
