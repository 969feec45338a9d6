// Against Hugging Face's tokenizers: tests/golden/tokenizer.py. Ids, texts and offsets must be
// equal.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/unicode.h"
#include "tests/runtime/text/golden_samples.h"

namespace tanren::text {
namespace {

constexpr auto kParse = SpecialTokens::kParse;
constexpr auto kPlainText = SpecialTokens::kPlainText;

// Bytes of `text` as characters, the way the peer counts: a part of a character is all of it.
class CharacterOffsets {
 public:
  explicit CharacterOffsets(std::string_view text) {
    int64_t count = 0;
    for (size_t at = 0; at < text.size(); ++count) {
      const size_t length = DecodeFirst(text.substr(at)).length;
      character_of_.insert(character_of_.end(), length, count);
      at += length;
    }
  }
  std::pair<int64_t, int64_t> operator()(ByteRange range) const {
    return {character_of_.at(static_cast<size_t>(range.begin)),
            character_of_.at(static_cast<size_t>(range.end - 1)) + 1};
  }

 private:
  std::vector<int64_t> character_of_;  // of each byte
};

class TokenizerGolden : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string path = GoldenFolder() + "/" + GetParam() + ".tokenizer.json";
    tokenizer_ = ValueOrThrow(Tokenizer::FromJson(ReadGoldenFile(path), path));
  }

  // Calls check(sample) for each sample until one fails.
  template <typename Check>
  void ForEachSample(Check check) const {
    for (const GoldenSample& sample : ReadGoldenSamples(GetParam())) {
      SCOPED_TRACE(sample.line);
      check(sample);
      if (HasFailure()) return;
    }
  }

  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(TokenizerGolden, TextsBecomeThePeersIds) {
  ForEachSample([&](const GoldenSample& sample) {
    EXPECT_EQ(tokenizer_->Encode(sample.text, kParse), sample.ids);
    EXPECT_EQ(tokenizer_->Encode(sample.text, kPlainText), sample.plain);
  });
}

TEST_P(TokenizerGolden, PlainTextHasNoSpecialToken) {
  ForEachSample([&](const GoldenSample& sample) {
    for (const int32_t id : tokenizer_->Encode(sample.text, kPlainText)) {
      EXPECT_FALSE(tokenizer_->IsSpecial(id)) << *tokenizer_->IdToToken(id);
    }
  });
}

TEST_P(TokenizerGolden, IdsBecomeThePeersTexts) {
  ForEachSample([&](const GoldenSample& sample) {
    EXPECT_EQ(tokenizer_->Decode(sample.ids, false), sample.decoded);
    EXPECT_EQ(tokenizer_->Decode(sample.ids, true), sample.decoded_skip);
    StreamingDecoder decoder(*tokenizer_, true);
    std::string streamed;
    for (const int32_t id : sample.ids) streamed += decoder.Push(id);
    EXPECT_EQ(streamed + decoder.Finish(), sample.decoded_skip);
  });
}

TEST_P(TokenizerGolden, RangesAreThePeersOffsetsAndCoverTheText) {
  ForEachSample([&](const GoldenSample& sample) {
    const Encoding encoding = tokenizer_->EncodeWithOffsets(sample.text, kParse);
    EXPECT_EQ(encoding.ids, sample.ids);
    ASSERT_EQ(encoding.ranges.size(), encoding.ids.size());
    int64_t covered = 0;
    for (const ByteRange& range : encoding.ranges) {
      EXPECT_LE(range.begin, covered);
      EXPECT_LE(range.begin, range.end);
      covered = std::max(covered, range.end);
    }
    EXPECT_EQ(covered, static_cast<int64_t>(sample.text.size()));
    if (sample.offsets.empty()) return;  // the peer's normaliser maps back in another way
    const CharacterOffsets characters(sample.text);
    std::vector<std::pair<int64_t, int64_t>> offsets;
    for (const ByteRange& range : encoding.ranges) offsets.push_back(characters(range));
    EXPECT_EQ(offsets, sample.offsets);
  });
}

TEST_P(TokenizerGolden, WhatIsWrittenBehavesAsWhatWasRead) {
  const auto again = ValueOrThrow(Tokenizer::FromJson(tokenizer_->ToJson(), "written"));
  EXPECT_EQ(again->ToJson(), tokenizer_->ToJson());
  EXPECT_EQ(again->prefix_ids(), tokenizer_->prefix_ids());
  ForEachSample([&](const GoldenSample& sample) {
    EXPECT_EQ(again->Encode(sample.text, kParse), sample.ids);
    EXPECT_EQ(again->Decode(sample.ids, true), sample.decoded_skip);
  });
}

// tests/golden/tokenizer_export.py loads these files with `tokenizers` and with transformers, and
// compares ids and texts; so what is written here must be what it has seen.
TEST_P(TokenizerGolden, WhatIsWrittenIsWhatThePeersLoad) {
  const std::string folder = std::string("tests/golden/tokenizer_export/") + GetParam() + "/";
  const auto specials = [&](const char* token) { return tokenizer_->TokenToId(token); };
  ASSERT_TRUE(tokenizer_
                  ->set_special_ids({.bos = specials("<|begin_of_text|>"),
                                     .eos = specials("<|endoftext|>"),
                                     .pad = specials("<|im_end|>")})
                  .ok());
  const std::string json = tokenizer_->ToJson();
  const std::string config = tokenizer_->ToConfigJson("{{ messages[0].content }}");
  if (const char* out = std::getenv("TANREN_TOKENIZER_EXPORT"); out != nullptr) {
    const std::filesystem::path path = std::filesystem::path(out) / GetParam();
    std::filesystem::create_directories(path);
    std::ofstream(path / "tokenizer.json") << json;
    std::ofstream(path / "tokenizer_config.json") << config;
  }
  EXPECT_EQ(json, ReadGoldenFile(folder + "tokenizer.json"));
  EXPECT_EQ(config, ReadGoldenFile(folder + "tokenizer_config.json"));
}

INSTANTIATE_TEST_SUITE_P(Kinds, TokenizerGolden,
                         testing::Values("gpt2", "llama3", "qwen", "smollm", "flags"),
                         [](const auto& kind) { return std::string(kind.param); });

}  // namespace
}  // namespace tanren::text
