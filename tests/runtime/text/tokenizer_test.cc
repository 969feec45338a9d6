#include "runtime/text/tokenizer.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "tests/runtime/text/small_tokenizer.h"

namespace tanren::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kParse = SpecialTokens::kParse;
constexpr auto kPlainText = SpecialTokens::kPlainText;

std::vector<std::string> Pieces(const Tokenizer& tokenizer, std::string_view text,
                                SpecialTokens mode = kParse) {
  std::vector<std::string> pieces;
  for (const int32_t id : tokenizer.Encode(text, mode)) {
    pieces.push_back(std::string(tokenizer.TokenBytes(id)));
  }
  return pieces;
}

TEST(SpecialTokens, AreTokensOnlyWhereTheyAreParsed) {
  const SmallTokenizer small{{}, {Added("<s>", true), Added("<tool>", false)}};
  const auto tokenizer = small.Load();
  EXPECT_THAT(tokenizer->Encode("a<s>b", kParse), ElementsAre('a', kFirstAdded, 'b'));
  EXPECT_THAT(tokenizer->Encode("a<s>b", kPlainText), ElementsAre('a', '<', 's', '>', 'b'));
  // An added token that is not special is a token either way.
  EXPECT_THAT(tokenizer->Encode("<tool>", kPlainText), ElementsAre(kFirstAdded + 1));
}

TEST(SpecialTokens, NeverComeOutOfPlainTextThroughTheModel) {
  // "<s>" is in the model too: as a result of merges, and as a whole word.
  SmallTokenizer small{{{"<", "s"}, {"<s", ">"}}, {}};
  small.ignore_merges = true;
  nlohmann::json document = small.Json();
  document["added_tokens"] = nlohmann::json::array({Added("<s>", true)});
  document["added_tokens"][0]["id"] = kFirstMerge + 1;
  const auto tokenizer = ValueOrThrow(Tokenizer::FromJson(document.dump(), "t.json"));
  EXPECT_THAT(tokenizer->Encode("<s>", kParse), ElementsAre(kFirstMerge + 1));
  EXPECT_THAT(tokenizer->Encode("<s>", kPlainText), ElementsAre(kFirstMerge, '>'));
}

TEST(AddedTokens, TheLeftmostIsTakenAndOfThoseTheLongest) {
  const SmallTokenizer small{{}, {Added("ab", true), Added("abcd", true), Added("bcd", true)}};
  EXPECT_THAT(Pieces(*small.Load(), "abcdabcbcd"), ElementsAre("abcd", "ab", "c", "bcd"));
}

TEST(AddedTokens, StripTakesWhiteSpaceAlong) {
  SmallTokenizer small{{}, {Added("<l>", true), Added("<r>", true)}};
  small.added[0]["lstrip"] = true;
  small.added[1]["rstrip"] = true;
  const auto tokenizer = small.Load();
  const Encoding encoding = tokenizer->EncodeWithOffsets("a \u3000<l> b<r> \n <l>", kParse);
  EXPECT_THAT(encoding.ids, ElementsAre('a', kFirstAdded, ' ', 'b', kFirstAdded + 1, kFirstAdded));
  EXPECT_THAT(encoding.ranges, ElementsAre(ByteRange{0, 1}, ByteRange{1, 8}, ByteRange{8, 9},
                                           ByteRange{9, 10}, ByteRange{10, 16}, ByteRange{16, 19}));
}

TEST(AddedTokens, ASingleWordStandsBetweenCharactersOfNoWord) {
  SmallTokenizer small{{}, {Added("cat", false)}};
  small.added[0]["single_word"] = true;
  EXPECT_THAT(Pieces(*small.Load(), "cat,cats"), ElementsAre("cat", ",", "c", "a", "t", "s"));
  EXPECT_THAT(Pieces(*small.Load(), "_cat"), ElementsAre("_", "c", "a", "t"));
}

TEST(AddedTokens, NormalizedOnesAreFoundInTheNormalisedText) {
  SmallTokenizer small{{}, {Added("caf\u00E9", false), Added("the\u0301", false)}};
  small.normalizer = {{"type", "NFC"}};
  small.added[0]["normalized"] = true;
  const auto tokenizer = small.Load();
  const Encoding encoding = tokenizer->EncodeWithOffsets("xcafe\u0301", kParse);
  EXPECT_THAT(encoding.ids, ElementsAre('x', kFirstAdded));
  EXPECT_THAT(encoding.ranges, ElementsAre(ByteRange{0, 1}, ByteRange{1, 7}));
  // The other one is looked for in the text as it is.
  EXPECT_THAT(tokenizer->Encode("the\u0301", kParse), ElementsAre(kFirstAdded + 1));
  EXPECT_THAT(tokenizer->Encode("th\u00E9", kParse), ElementsAre('t', 'h', 0xC3, 0xA9));
}

TEST(Encode, RangesReferToTheCallersBytes) {
  SmallTokenizer small{{{"Ã", "©"}}, {}};  // the two bytes of U+00E9
  small.normalizer = {{"type", "NFC"}};
  small.pre_tokenizer["add_prefix_space"] = true;
  const Encoding encoding = small.Load()->EncodeWithOffsets("e\u0301\xFFz", kParse);
  EXPECT_THAT(encoding.ids, ElementsAre(' ', kFirstMerge, 0xEF, 0xBF, 0xBD, 'z'));
  EXPECT_THAT(encoding.ranges, ElementsAre(ByteRange{0, 0}, ByteRange{0, 3}, ByteRange{3, 4},
                                           ByteRange{3, 4}, ByteRange{3, 4}, ByteRange{4, 5}));
}

TEST(Encode, AnEmptyTextHasNoTokens) {
  SmallTokenizer small;
  small.pre_tokenizer["add_prefix_space"] = true;
  EXPECT_THAT(small.Load()->Encode("", kParse), IsEmpty());
}

TEST(Encode, PrefixAndSuffixAreGivenBesideNotPutIn) {
  SmallTokenizer small{{}, {Added("<s>", true), Added("</s>", true)}};
  small.post_processor = nlohmann::json::parse(R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"SpecialToken": {"id": "</s>", "type_id": 0}}],
    "pair": [],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [1000], "tokens": ["<s>"]},
                       "</s>": {"id": "</s>", "ids": [1001], "tokens": ["</s>"]}}})");
  const auto tokenizer = small.Load();
  EXPECT_THAT(tokenizer->prefix_ids(), ElementsAre(1000));
  EXPECT_THAT(tokenizer->suffix_ids(), ElementsAre(1001));
  EXPECT_TRUE(tokenizer->add_bos());
  EXPECT_THAT(tokenizer->Encode("a", kParse), ElementsAre('a'));
}

TEST(Decode, BrokenUtf8IsReplacedAndStrangersAreLeftOut) {
  const SmallTokenizer small{{}, {Added("<s>", true), Added("<tool>", false)}};
  const auto tokenizer = small.Load();
  const std::vector<int32_t> ids = {kFirstAdded,     'a', 0xE3, 0x81, 'b',
                                    kFirstAdded + 1, 999, -1,   5000};
  EXPECT_EQ(tokenizer->Decode(ids, false), "<s>a\uFFFDb<tool>");
  EXPECT_EQ(tokenizer->Decode(ids, true), "a\uFFFDb<tool>");
}

// Hugging Face's decoder takes a token whose letters are all in the byte alphabet for bytes, so
// that this one would come out broken; here encoding and decoding give the text back.
TEST(Decode, AnAddedTokenIsItsOwnTextThoughTheByteAlphabetHasItsLetters) {
  const SmallTokenizer small{{}, {Added("w\u00F3rd", false)}};
  const auto tokenizer = small.Load();
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("a w\u00F3rd", kParse), false), "a w\u00F3rd");
}

TEST(StreamingDecoder, GivesACharacterWithItsLastByte) {
  const auto tokenizer = SmallTokenizer{}.Load();
  StreamingDecoder decoder(*tokenizer, false);
  EXPECT_EQ(decoder.Push(0xE3), "");
  EXPECT_EQ(decoder.Push(0x81), "");
  EXPECT_EQ(decoder.Push(0x82), "\u3042");
  EXPECT_EQ(decoder.Push(0xF0), "");
  EXPECT_EQ(decoder.Push('a'), "\uFFFDa");  // now it cannot become a character any more
  EXPECT_EQ(decoder.Push(0xE3), "");
  EXPECT_EQ(decoder.Finish(), "\uFFFD");
  EXPECT_EQ(decoder.Finish(), "");
}

TEST(StreamingDecoder, AddsUpToWhatDecodeGives) {
  const SmallTokenizer small{{}, {Added("<s>", true)}};
  const auto tokenizer = small.Load();
  const std::string text = "a\xF0\x9F<s>\x98\x80\u3042\xC3\xF0\x9F\x98\x80\xED\xA0\x80 end\xE3";
  for (const bool skip_special : {false, true}) {
    std::vector<int32_t> ids;
    for (const char byte : text) ids.push_back(static_cast<uint8_t>(byte));
    ids.insert(ids.begin() + 3, kFirstAdded);
    StreamingDecoder decoder(*tokenizer, skip_special);
    std::string streamed;
    for (const int32_t id : ids) streamed += decoder.Push(id);
    streamed += decoder.Finish();
    EXPECT_EQ(streamed, tokenizer->Decode(ids, skip_special));
  }
}

TEST(Tokenizer, TokensAreFoundByTheirWrittenForm) {
  const SmallTokenizer small{{{"Ġ", "a"}}, {Added("<s>", true)}};
  const auto tokenizer = small.Load();
  EXPECT_EQ(tokenizer->TokenToId("Ġa"), kFirstMerge);
  EXPECT_EQ(tokenizer->TokenToId(" a"), std::nullopt);
  EXPECT_EQ(tokenizer->IdToToken(kFirstMerge), "Ġa");
  EXPECT_EQ(tokenizer->IdToToken(999), std::nullopt);
  EXPECT_EQ(tokenizer->TokenBytes(kFirstMerge), " a");
  EXPECT_EQ(tokenizer->vocabulary_size(), kFirstAdded + 1);
  EXPECT_TRUE(tokenizer->IsSpecial(kFirstAdded));
  EXPECT_FALSE(tokenizer->IsSpecial(kFirstMerge));
}

TEST(Tokenizer, SpecialIdsComeFromTheConfig) {
  const SmallTokenizer small{{}, {Added("<s>", true), Added("</s>", true)}};
  const auto tokenizer = small.Load();
  EXPECT_EQ(tokenizer->bos_id(), std::nullopt);
  EXPECT_TRUE(ApplyTokenizerConfig(R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>"})",
                                   "c.json", tokenizer.get())
                  .ok());
  EXPECT_TRUE(ApplyTokenizerConfig(R"({"eos_token": null})", "c.json", tokenizer.get()).ok());
  EXPECT_EQ(tokenizer->bos_id(), 1000);
  EXPECT_EQ(tokenizer->eos_id(), 1001);
  EXPECT_EQ(tokenizer->pad_id(), std::nullopt);
  const absl::Status stranger =
      ApplyTokenizerConfig(R"({"pad_token": "<pad>"})", "c.json", tokenizer.get());
  EXPECT_THAT(std::string(stranger.message()), HasSubstr("c.json.pad_token: found \"<pad>\""));
  const absl::Status beyond = tokenizer->set_special_ids({.pad = 1002});
  EXPECT_THAT(std::string(beyond.message()), HasSubstr("pad token has the id 1002"));
}

}  // namespace
}  // namespace tanren::text
