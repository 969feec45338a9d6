// Tokenizers from the vocabularies of GGUF files.
#include <functional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "runtime/formats/gguf.h"
#include "runtime/text/tokenizer.h"
#include "tests/runtime/text/golden_samples.h"
#include "tests/runtime/text/small_tokenizer.h"

namespace tanren::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What a converter writes for a tokenizer.json.
TokenizerVocabulary AsGguf(const nlohmann::json& document, std::string pre_tokenizer) {
  TokenizerVocabulary vocabulary;
  vocabulary.where = "model.gguf";
  vocabulary.pre_tokenizer = std::move(pre_tokenizer);
  const auto& model = document["model"];
  const auto put = [&](const std::string& token, size_t id, TokenType type) {
    if (id >= vocabulary.tokens.size()) {
      vocabulary.tokens.resize(id + 1);
      vocabulary.token_types.resize(id + 1, static_cast<int32_t>(TokenType::kUnused));
    }
    vocabulary.tokens[id] = token;
    vocabulary.token_types[id] = static_cast<int32_t>(type);
  };
  for (const auto& [token, id] : model["vocab"].items()) put(token, id, TokenType::kNormal);
  for (const auto& token : document["added_tokens"]) {
    put(token["content"], token["id"],
        token["special"] ? TokenType::kControl : TokenType::kUserDefined);
  }
  for (const auto& merge : model["merges"]) {
    vocabulary.merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  return vocabulary;
}

class NamedPreTokenizers : public testing::TestWithParam<PublishedTokenizer> {};

TEST_P(NamedPreTokenizers, GiveTheIdsOfThePublishedFiles) {
  const std::string path = GoldenFolder() + "/" + GetParam().kind + ".tokenizer.json";
  const auto document = nlohmann::json::parse(ReadGoldenFile(path));
  TokenizerVocabulary vocabulary = AsGguf(document, GetParam().pre_tokenizer);
  const auto from_json = ValueOrThrow(Tokenizer::FromJson(document.dump(), path));
  vocabulary.special.bos = from_json->TokenToId("<|begin_of_text|>");
  const auto tokenizer = ValueOrThrow(Tokenizer::FromVocabulary(vocabulary));
  EXPECT_EQ(tokenizer->prefix_ids(), from_json->prefix_ids());
  ExpectGoldenSamples(*tokenizer, GetParam().kind);
}

INSTANTIATE_TEST_SUITE_P(Kinds, NamedPreTokenizers, testing::ValuesIn(kPublishedTokenizers),
                         KindOf);

// The vocabulary inside SmolLM2's GGUF.
std::unique_ptr<Tokenizer> LoadRealModel() {
  const auto file = ValueOrThrow(formats::Gguf::Open(TANREN_TEST_MODEL));
  const auto key = [](const char* name) { return std::string("tokenizer.ggml.") + name; };
  TokenizerVocabulary vocabulary;
  vocabulary.where = TANREN_TEST_MODEL;
  vocabulary.pre_tokenizer = ValueOrThrow(file->FindString(key("pre"))).value();
  vocabulary.tokens = *ValueOrThrow(file->FindStrings(key("tokens")));
  vocabulary.merges = *ValueOrThrow(file->FindStrings(key("merges")));
  const auto& types = *ValueOrThrow(file->FindInts(key("token_type")));
  vocabulary.token_types.assign(types.begin(), types.end());
  vocabulary.add_bos = ValueOrThrow(file->FindBool(key("add_bos_token")));
  vocabulary.special.eos =
      static_cast<int32_t>(ValueOrThrow(file->FindInt(key("eos_token_id"))).value());
  return ValueOrThrow(Tokenizer::FromVocabulary(vocabulary));
}

// Both `tokenizers` and llama.cpp give these ids: tests/golden/tokenizer_gguf.py.
TEST(RealModel, ItsTokenizerGivesThePeersIdsAndTexts) {
  const auto tokenizer = LoadRealModel();
  EXPECT_EQ(tokenizer->vocabulary_size(), 49152);
  EXPECT_EQ(tokenizer->IdToToken(*tokenizer->eos_id()), "<|im_end|>");
  EXPECT_FALSE(tokenizer->add_bos());
  ExpectGoldenSamples(*tokenizer, "smollm2-gguf");
}

TEST(RealModel, ItsTokenizerSurvivesBeingWritten) {
  const auto tokenizer = LoadRealModel();
  const auto again = ValueOrThrow(Tokenizer::FromJson(tokenizer->ToJson(), "written"));
  ExpectGoldenSamples(*again, "smollm2-gguf");
}

TEST(FromVocabulary, BosAndEosGoAroundTheTextWhereTheFileSaysSo) {
  TokenizerVocabulary vocabulary =
      AsGguf(SmallTokenizer{{}, {Added("<s>", true), Added("</s>", true)}}.Json(), "gpt-2");
  vocabulary.special.bos = kFirstAdded;
  vocabulary.special.eos = kFirstAdded + 1;
  vocabulary.add_bos = vocabulary.add_eos = true;
  // The gap between the bytes and the added tokens has no texts: such a file is broken.
  for (size_t id = 256; id < kFirstAdded; ++id) {
    vocabulary.tokens[id] = "unused" + std::to_string(id);
  }
  const auto tokenizer = ValueOrThrow(Tokenizer::FromVocabulary(vocabulary));
  EXPECT_THAT(tokenizer->prefix_ids(), ElementsAre(kFirstAdded));
  EXPECT_THAT(tokenizer->suffix_ids(), ElementsAre(kFirstAdded + 1));
  EXPECT_EQ(tokenizer->bos_id(), kFirstAdded);
  // Unused tokens are no added tokens: their text is text.
  EXPECT_EQ(tokenizer->Encode("unused300", SpecialTokens::kParse).size(), 9u);
  const auto again = ValueOrThrow(Tokenizer::FromJson(tokenizer->ToJson(), "written"));
  EXPECT_EQ(again->suffix_ids(), tokenizer->suffix_ids());
}

TEST(FromVocabulary, ErrorsNameTheFileThePlaceAndWhatWasExpected) {
  struct Case {
    std::function<void(TokenizerVocabulary*)> spoil;
    std::string message;
  };
  const Case kCases[] = {
      {[](auto* v) { v->model = "llama"; }, "model is \"llama\", expected \"gpt2\""},
      {[](auto* v) { v->pre_tokenizer = "tekken"; },
       "\"tekken\" is not known; known are \"gpt-2\""},
      {[](auto* v) { v->token_types.pop_back(); }, "256 token types for 257 tokens"},
      {[](auto* v) { v->token_types[7] = 6; }, "token 7 \"ć\" has the type 6, expected 1 to 5"},
      {[](auto* v) { v->tokens[5] = v->tokens[6]; }, "has the ids 5 and 6"},
      {[](auto* v) { v->tokens[5] = "\xFF"; }, "token 5 is not valid UTF-8"},
      {[](auto* v) { v->merges[0] = "ab"; }, "merge 0: found \"ab\", expected two tokens"},
      {[](auto* v) { v->merges[0] = "a b c"; }, "merge 0: found \"a b c\", expected two tokens"},
      {[](auto* v) { v->merges[0] = "a c"; }, "merge 0: the result \"ac\" is not in the vocab"},
      {[](auto* v) { v->add_bos = true; }, "add_bos_token is set, but there is no bos token"},
      {[](auto* v) { v->special.eos = 257; }, "eos token has the id 257, expected 0 to 256"},
  };
  const TokenizerVocabulary whole = AsGguf(SmallTokenizer{{{"a", "b"}}, {}}.Json(), "gpt-2");
  ASSERT_TRUE(Tokenizer::FromVocabulary(whole).ok());
  for (const Case& c : kCases) {
    TokenizerVocabulary spoilt = whole;
    c.spoil(&spoilt);
    const auto loaded = Tokenizer::FromVocabulary(spoilt);
    ASSERT_FALSE(loaded.ok()) << c.message;
    EXPECT_THAT(std::string(loaded.status().message()), HasSubstr("model.gguf: "));
    EXPECT_THAT(std::string(loaded.status().message()), HasSubstr(c.message));
  }
}

}  // namespace
}  // namespace tanren::text
