// What a tokenizer.json may not say, and how that is reported.
#include <functional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "runtime/text/tokenizer.h"
#include "tests/runtime/text/small_tokenizer.h"

namespace tanren::text {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

json Whole() { return SmallTokenizer{{{"a", "b"}}, {Added("<s>", true)}}.Json(); }

struct Case {
  const char* name;
  std::function<void(json*)> spoil;
  std::string message;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class SpoiltTokenizerJson : public testing::TestWithParam<Case> {};

TEST_P(SpoiltTokenizerJson, IsRefusedWithFileAndPlace) {
  json document = Whole();
  ASSERT_TRUE(Tokenizer::FromJson(document.dump(), "t.json").ok());
  GetParam().spoil(&document);
  const auto loaded = Tokenizer::FromJson(document.dump(), "t.json");
  ASSERT_FALSE(loaded.ok());
  EXPECT_THAT(std::string(loaded.status().message()), StartsWith("t.json"));
  EXPECT_THAT(std::string(loaded.status().message()), HasSubstr(GetParam().message));
}

json Template(const char* single) {
  return {{"type", "TemplateProcessing"},
          {"single", json::parse(single)},
          {"special_tokens", {{"<s>", {{"ids", {1000}}}}, {"<x>", {{"ids", {1001}}}}}}};
}

INSTANTIATE_TEST_SUITE_P(
    Parts, SpoiltTokenizerJson,
    testing::Values(
        Case{"NoModel", [](json* d) { d->erase("model"); }, "\"model\" is missing"},
        Case{"OtherModel", [](json* d) { (*d)["model"]["type"] = "Unigram"; },
             ".model.type: found \"Unigram\", expected \"BPE\""},
        Case{"ByteFallback", [](json* d) { (*d)["model"]["byte_fallback"] = true; },
             ".model.byte_fallback"},
        Case{"Dropout", [](json* d) { (*d)["model"]["dropout"] = 0.1; }, ".model.dropout"},
        Case{"WordSuffix", [](json* d) { (*d)["model"]["end_of_word_suffix"] = "</w>"; },
             ".model.end_of_word_suffix: found \"</w>\", expected none"},
        Case{"StrangeUnknown", [](json* d) { (*d)["model"]["unk_token"] = "<unk>"; },
             ".model.unk_token: found \"<unk>\""},
        Case{"VocabularyOfTexts", [](json* d) { (*d)["model"]["vocab"]["a"] = "97"; },
             ".model.vocab[\"a\"]: found \"97\", expected an integer"},
        Case{"NegativeId", [](json* d) { (*d)["model"]["vocab"]["a"] = -1; },
             "token \"a\" has the id -1"},
        Case{"HugeId", [](json* d) { (*d)["model"]["vocab"]["a"] = int64_t{1} << 40; },
             "has the id 1099511627776, expected 0 to "},
        Case{"IdTwice", [](json* d) { (*d)["model"]["vocab"]["a"] = 98; }, "the id 98 is given to"},
        Case{"MergeOfStrangers",
             [](json* d) {
               (*d)["model"]["merges"][0] = json::array({"a", "zz"});
             },
             ".model.merges[0]: the right part \"zz\" is not in the vocabulary"},
        Case{"MergeOfThree",
             [](json* d) {
               (*d)["model"]["merges"][0] = json::array({"a", "b", "c"});
             },
             ".model.merges[0]: found array, expected a string"},
        Case{"AddedUnderAnotherId", [](json* d) { (*d)["added_tokens"][0]["content"] = "ab"; },
             ".added_tokens[0]: token \"ab\" has the ids 256 and 1000"},
        Case{"AddedWithoutText", [](json* d) { (*d)["added_tokens"][0].erase("content"); },
             ".added_tokens[0]: \"content\" is missing"},
        Case{"OtherNormalizer",
             [](json* d) {
               (*d)["normalizer"] = {{"type", "Lowercase"}};
             },
             ".normalizer: \"Lowercase\" is not supported, expected null, NFC"},
        Case{"NoByteLevel",
             [](json* d) {
               (*d)["pre_tokenizer"] = {{"type", "Digits"}};
             },
             ".pre_tokenizer: there is no ByteLevel step"},
        Case{"OtherPreTokenizer",
             [](json* d) {
               (*d)["pre_tokenizer"] = {{"type", "Metaspace"}};
             },
             ".pre_tokenizer: \"Metaspace\" is not supported"},
        Case{
            "AfterByteLevel",
            [](json* d) {
              (*d)["pre_tokenizer"] = {
                  {"type", "Sequence"},
                  {"pretokenizers",
                   {{{"type", "ByteLevel"}, {"add_prefix_space", false}}, {{"type", "Digits"}}}}};
            },
            ".pre_tokenizer.pretokenizers[1]: \"Digits\" is not supported, expected nothing after"},
        Case{"BrokenPattern",
             [](json* d) {
               (*d)["pre_tokenizer"] = {
                   {"type", "Split"}, {"behavior", "Isolated"}, {"pattern", {{"Regex", "(a"}}}};
             },
             ".pre_tokenizer.pattern.Regex: the pattern '(a'"},
        Case{"StrangeBehavior",
             [](json* d) {
               (*d)["pre_tokenizer"] = {
                   {"type", "Split"}, {"behavior", "Cut"}, {"pattern", {{"String", "a"}}}};
             },
             ".pre_tokenizer.behavior: found \"Cut\", expected Removed"},
        Case{"TextTwiceInTemplate",
             [](json* d) {
               (*d)["post_processor"] =
                   Template(R"([{"Sequence": {"id": "A"}}, {"Sequence": {"id": "A"}}])");
             },
             "the text stands twice"},
        Case{"NoTextInTemplate",
             [](json* d) {
               (*d)["post_processor"] = Template(R"([{"SpecialToken": {"id": "<s>"}}])");
             },
             "the text is not in the template"},
        Case{"StrangerInTemplate",
             [](json* d) {
               (*d)["post_processor"] =
                   Template(R"([{"SpecialToken": {"id": "<x>"}}, {"Sequence": {"id": "A"}}])");
             },
             "post_processor: no token has the id 1001"},
        Case{"OtherDecoder",
             [](json* d) {
               (*d)["decoder"] = {{"type", "WordPiece"}};
             },
             ".decoder: \"WordPiece\" is not supported"}),
    [](const auto& c) { return c.param.name; });

std::string MessageOf(std::string_view text) {
  return std::string(Tokenizer::FromJson(text, "t.json").status().message());
}

TEST(TokenizerJson, WhatIsNotJsonIsRefused) {
  EXPECT_THAT(MessageOf(""), StartsWith("t.json: "));
  EXPECT_THAT(MessageOf("{\"model\": "), StartsWith("t.json: "));
  EXPECT_THAT(MessageOf("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(MessageOf("{\"model\": \"\xFF\"}"), StartsWith("t.json: "));
}

TEST(TokenizerJson, DeepNestingIsRefusedBeforeItIsFollowed) {
  EXPECT_THAT(MessageOf(std::string(1'000'000, '[')), HasSubstr("nested more than 64 deep"));
}

TEST(TokenizerJson, AKeyThatIsGivenTwiceIsRefused) {
  EXPECT_THAT(MessageOf(R"({"model": {"vocab": {"a": 0, "b": 1, "a": 2}}})"),
              HasSubstr("an object of 3 entries gives 1 of its keys twice"));
}

TEST(TokenizerJson, MergesMayBeWrittenAsOneText) {
  json document = Whole();
  document["model"]["merges"] = json::array({"a b"});
  const auto tokenizer = Tokenizer::FromJson(document.dump(), "t.json");
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ((*tokenizer)->Encode("ab", SpecialTokens::kParse).size(), 1u);
}

}  // namespace
}  // namespace tanren::text
