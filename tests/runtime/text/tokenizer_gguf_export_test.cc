// Tokenizers as the vocabularies of GGUF files.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "runtime/text/tokenizer.h"
#include "tests/runtime/text/golden_samples.h"
#include "tests/runtime/text/small_tokenizer.h"

namespace tanren::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int32_t Number(TokenType type) { return static_cast<int32_t>(type); }

class PublishedTokenizers : public testing::TestWithParam<PublishedTokenizer> {};

TEST_P(PublishedTokenizers, GiveTheSameIdsFromAGguf) {
  const std::string path = GoldenFolder() + "/" + GetParam().kind + ".tokenizer.json";
  const auto original = ValueOrThrow(Tokenizer::FromJson(ReadGoldenFile(path), path));
  const TokenizerVocabulary vocabulary =
      ValueOrThrow(original->ToVocabulary(original->vocabulary_size()));
  EXPECT_EQ(vocabulary.model, "gpt2");
  EXPECT_EQ(vocabulary.pre_tokenizer, GetParam().pre_tokenizer);
  const auto again = ValueOrThrow(Tokenizer::FromVocabulary(vocabulary));
  EXPECT_EQ(again->prefix_ids(), original->prefix_ids());
  EXPECT_EQ(again->suffix_ids(), original->suffix_ids());
  ExpectGoldenSamples(*again, GetParam().kind);
}

INSTANTIATE_TEST_SUITE_P(Kinds, PublishedTokenizers, testing::ValuesIn(kPublishedTokenizers),
                         KindOf);

const nlohmann::json kGpt2 = {
    {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};

TEST(ToVocabulary, RolesTypesAndMergesAreKept) {
  SmallTokenizer small{{{"a", "b"}, {"ab", "c"}}, {Added("<s>", true), Added("<tool>", false)}};
  small.pre_tokenizer = kGpt2;
  const auto tokenizer = small.Load();
  ASSERT_TRUE(tokenizer->set_special_ids({kFirstAdded, std::nullopt, kFirstAdded, {}}).ok());
  const TokenizerVocabulary vocabulary = ValueOrThrow(tokenizer->ToVocabulary(1005));
  EXPECT_THAT(vocabulary.merges, ElementsAre("a b", "ab c"));
  ASSERT_EQ(vocabulary.tokens.size(), 1005u);
  ASSERT_EQ(vocabulary.token_types.size(), 1005u);
  EXPECT_EQ(vocabulary.tokens[257], "abc");
  EXPECT_EQ(vocabulary.token_types[257], Number(TokenType::kNormal));
  EXPECT_EQ(vocabulary.tokens[1000], "<s>");
  EXPECT_EQ(vocabulary.token_types[1000], Number(TokenType::kControl));
  EXPECT_EQ(vocabulary.token_types[1001], Number(TokenType::kUserDefined));
  EXPECT_EQ(vocabulary.special.bos, kFirstAdded);
  EXPECT_EQ(vocabulary.special.eos, std::nullopt);
  EXPECT_EQ(vocabulary.special.pad, kFirstAdded);
  EXPECT_EQ(vocabulary.add_bos, false);
  EXPECT_EQ(vocabulary.add_eos, false);
}

TEST(ToVocabulary, IdsThatStandForNoTokenGetUnusedOnesOfTheirOwn) {
  SmallTokenizer small{{}, {Added("[PAD300]", true)}};
  small.pre_tokenizer = kGpt2;
  const TokenizerVocabulary vocabulary = ValueOrThrow(small.Load()->ToVocabulary(1003));
  EXPECT_EQ(vocabulary.tokens[299], "[PAD299]");
  EXPECT_EQ(vocabulary.tokens[300], "[PAD300]_");
  EXPECT_EQ(vocabulary.tokens[1002], "[PAD1002]");
  EXPECT_EQ(vocabulary.token_types[299], Number(TokenType::kUnused));
  EXPECT_EQ(vocabulary.token_types[1002], Number(TokenType::kUnused));
  EXPECT_TRUE(Tokenizer::FromVocabulary(vocabulary).ok());
}

TEST(ToVocabulary, APreTokenizerIsNamedHoweverItIsSpelt) {
  const auto name_of = [](nlohmann::json normalizer, nlohmann::json pre_tokenizer) {
    SmallTokenizer small;
    small.normalizer = std::move(normalizer);
    small.pre_tokenizer = std::move(pre_tokenizer);
    return ValueOrThrow(small.Load()->ToVocabulary(256)).pre_tokenizer;
  };
  const nlohmann::json digits = {{"type", "Digits"}, {"individual_digits", true}};
  const nlohmann::json split = {
      {"type", "Split"},
      {"pattern",
       {{"Regex",
         R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"}}},
      {"behavior", "Isolated"}};
  const nlohmann::json bytes = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const auto sequence = [](std::vector<nlohmann::json> steps) {
    return nlohmann::json{{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
  };
  EXPECT_EQ(name_of(nullptr, kGpt2), "gpt-2");
  EXPECT_EQ(name_of(nullptr, sequence({split, bytes})), "gpt-2");
  EXPECT_EQ(name_of(nullptr, sequence({digits, sequence({kGpt2})})), "smollm");
  const nlohmann::json nfc = {{"type", "NFC"}};
  EXPECT_EQ(name_of({{"type", "Sequence"}, {"normalizers", {nfc}}}, sequence({digits, kGpt2})),
            "command-r");
}

TEST(ToVocabulary, WhatAGgufCantExpressIsNamed) {
  const auto error = [](const SmallTokenizer& small, int32_t size = 1010) {
    const auto vocabulary = small.Load()->ToVocabulary(size);
    EXPECT_FALSE(vocabulary.ok());
    return std::string(vocabulary.status().message());
  };
  SmallTokenizer whole{{}, {Added("<s>", true), Added("</s>", true)}};
  whole.pre_tokenizer = kGpt2;
  EXPECT_TRUE(whole.Load()->ToVocabulary(1010).ok());
  EXPECT_THAT(error(whole, 1001), HasSubstr("1002 tokens don't fit into a vocabulary of 1001"));
  SmallTokenizer small = whole;
  small.pre_tokenizer["use_regex"] = false;
  EXPECT_THAT(error(small), HasSubstr("have no name in a GGUF that is known here; known are"));
  small = whole;
  small.ignore_merges = true;
  EXPECT_THAT(error(small), HasSubstr("with ignore_merges, have no name"));
  small = whole;
  small.normalizer = {{"type", "NFC"}};
  EXPECT_THAT(error(small), HasSubstr("the normalizer {\"type\":\"NFC\"}"));
  for (const char* setting : {"lstrip", "rstrip", "single_word"}) {
    small = whole;
    small.added[1][setting] = true;
    EXPECT_THAT(error(small), HasSubstr(std::string("\"</s>\" has ") + setting + " set"));
  }
}

// A template of tokens before and after the text.
nlohmann::json Template(const std::vector<std::string>& before,
                        const std::vector<std::string>& after) {
  nlohmann::json single = nlohmann::json::array(), special;
  const auto add = [&](const std::string& token) {
    single.push_back({{"SpecialToken", {{"id", token}, {"type_id", 0}}}});
    const int32_t id = token == "<s>" ? kFirstAdded : kFirstAdded + 1;
    special[token] = {{"id", token}, {"ids", {id}}, {"tokens", {token}}};
  };
  for (const std::string& token : before) add(token);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  for (const std::string& token : after) add(token);
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", single},
          {"special_tokens", special}};
}

TEST(ToVocabulary, BosAndEosAroundATextAreKeptAndOthersRefused) {
  SmallTokenizer small{{}, {Added("<s>", true), Added("</s>", true)}};
  small.pre_tokenizer = kGpt2;
  small.post_processor = Template({"<s>"}, {"</s>"});
  // Without roles they get them; with roles they have to be those.
  TokenizerVocabulary vocabulary = ValueOrThrow(small.Load()->ToVocabulary(1002));
  EXPECT_EQ(vocabulary.add_bos, true);
  EXPECT_EQ(vocabulary.add_eos, true);
  EXPECT_EQ(vocabulary.special.bos, kFirstAdded);
  EXPECT_EQ(vocabulary.special.eos, kFirstAdded + 1);
  const auto tokenizer = small.Load();
  ASSERT_TRUE(tokenizer->set_special_ids({kFirstAdded + 1, {}, {}, {}}).ok());
  EXPECT_THAT(std::string(tokenizer->ToVocabulary(1002).status().message()),
              HasSubstr("other tokens before a text than the bos token"));
  small.post_processor = Template({}, {"</s>", "<s>"});
  EXPECT_THAT(std::string(small.Load()->ToVocabulary(1002).status().message()),
              HasSubstr("other tokens after a text than the eos token"));
}

}  // namespace
}  // namespace tanren::text
