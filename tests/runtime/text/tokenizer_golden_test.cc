// Against Hugging Face's tokenizers: tests/golden/tokenizer.py. Ids, texts and offsets must be
// equal. TANREN_TOKENIZER_CORPUS names a folder with a larger corpus by the same script.
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/unicode.h"

namespace tanren::text {
namespace {

using nlohmann::json;

std::string Folder() {
  const char* corpus = std::getenv("TANREN_TOKENIZER_CORPUS");
  return corpus != nullptr ? corpus : "tests/golden/tokenizer";
}

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << "cannot read " << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t at = 0; at + 1 < hex.size(); at += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16)));
  }
  return bytes;
}

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
    const std::string path = Folder() + "/" + GetParam() + ".tokenizer.json";
    tokenizer_ = ValueOrThrow(Tokenizer::FromJson(ReadText(path), path));
  }

  // Calls check(sample, text) for each sample.
  template <typename Check>
  void ForEachSample(Check check) const {
    std::ifstream file(Folder() + "/" + GetParam() + ".samples.jsonl");
    int count = 0;
    for (std::string line; std::getline(file, line) && !HasFailure(); ++count) {
      const json sample = json::parse(line);
      const std::string text =
          sample.contains("bytes") ? FromHex(sample["bytes"]) : sample["text"].get<std::string>();
      SCOPED_TRACE(line);
      check(sample, text);
    }
    EXPECT_GE(count, 200);
  }

  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(TokenizerGolden, TextsBecomeThePeersIds) {
  ForEachSample([&](const json& sample, const std::string& text) {
    const std::vector<int32_t> ids = sample["ids"];
    const std::vector<int32_t> plain = sample.value("plain", ids);
    EXPECT_EQ(tokenizer_->Encode(text, SpecialTokens::kParse), ids);
    EXPECT_EQ(tokenizer_->Encode(text, SpecialTokens::kPlainText), plain);
  });
}

TEST_P(TokenizerGolden, PlainTextHasNoSpecialToken) {
  ForEachSample([&](const json& sample, const std::string& text) {
    for (const int32_t id : tokenizer_->Encode(text, SpecialTokens::kPlainText)) {
      EXPECT_FALSE(tokenizer_->IsSpecial(id)) << *tokenizer_->IdToToken(id);
    }
  });
}

TEST_P(TokenizerGolden, IdsBecomeThePeersTexts) {
  ForEachSample([&](const json& sample, const std::string& text) {
    const std::vector<int32_t> ids = sample["ids"];
    const std::string decoded = sample.value("decoded", text);
    const std::string skipped = sample.value("decoded_skip", decoded);
    EXPECT_EQ(tokenizer_->Decode(ids, false), decoded);
    EXPECT_EQ(tokenizer_->Decode(ids, true), skipped);
    StreamingDecoder decoder(*tokenizer_, true);
    std::string streamed;
    for (const int32_t id : ids) streamed += decoder.Push(id);
    EXPECT_EQ(streamed + decoder.Finish(), skipped);
  });
}

TEST_P(TokenizerGolden, RangesAreThePeersOffsetsAndCoverTheText) {
  ForEachSample([&](const json& sample, const std::string& text) {
    const Encoding encoding = tokenizer_->EncodeWithOffsets(text, SpecialTokens::kParse);
    EXPECT_EQ(encoding.ids, sample["ids"].get<std::vector<int32_t>>());
    ASSERT_EQ(encoding.ranges.size(), encoding.ids.size());
    int64_t covered = 0;
    for (const ByteRange& range : encoding.ranges) {
      EXPECT_LE(range.begin, covered);
      EXPECT_LE(range.begin, range.end);
      covered = std::max(covered, range.end);
    }
    EXPECT_EQ(covered, static_cast<int64_t>(text.size()));
    if (!sample.contains("offsets")) return;
    const CharacterOffsets characters(text);
    std::vector<std::pair<int64_t, int64_t>> offsets;
    for (const ByteRange& range : encoding.ranges) offsets.push_back(characters(range));
    EXPECT_EQ(offsets, (sample["offsets"].get<std::vector<std::pair<int64_t, int64_t>>>()));
  });
}

TEST_P(TokenizerGolden, WhatIsWrittenBehavesAsWhatWasRead) {
  const auto again = ValueOrThrow(Tokenizer::FromJson(tokenizer_->ToJson(), "written"));
  EXPECT_EQ(again->ToJson(), tokenizer_->ToJson());
  EXPECT_EQ(again->prefix_ids(), tokenizer_->prefix_ids());
  ForEachSample([&](const json& sample, const std::string& text) {
    EXPECT_EQ(again->Encode(text, SpecialTokens::kParse),
              sample["ids"].get<std::vector<int32_t>>());
  });
}

INSTANTIATE_TEST_SUITE_P(Kinds, TokenizerGolden,
                         testing::Values("gpt2", "llama3", "qwen", "smollm", "flags"),
                         [](const auto& kind) { return std::string(kind.param); });

}  // namespace
}  // namespace tanren::text
