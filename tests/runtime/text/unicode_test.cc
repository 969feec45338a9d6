#include "runtime/text/unicode.h"

#include <utf8proc.h>

#include <cstdlib>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/random.h"

namespace tanren::text {
namespace {

using ::testing::MatchesRegex;

TEST(Unicode, TheVersionIsStated) {
  EXPECT_THAT(std::string(UnicodeVersion()), MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
}

TEST(Unicode, EveryCodePointIsDecodedAndNothingElse) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    AppendUtf8(c, &text);
    const DecodedCodePoint first = DecodeFirst(text + "a");
    ASSERT_TRUE(first.valid) << static_cast<uint32_t>(c);
    ASSERT_EQ(first.code_point, c);
    ASSERT_EQ(first.length, text.size());
    ASSERT_EQ(DecodeLast("a" + text), c);
  }
}

// One U+FFFD for each maximal subpart (Unicode 15, section 3.9), as Rust, Python and browsers do.
TEST(Unicode, BrokenUtf8BecomesOneReplacementForEachMaximalSubpart) {
  const std::pair<std::string, std::string> kCases[] = {
      {"", ""},
      {"ab\xFF", "ab\uFFFD"},
      {"\x80\x80z", "\uFFFD\uFFFDz"},
      {"\xC0\xAF", "\uFFFD\uFFFD"},                          // overlong
      {"\xE0\x80\x80", "\uFFFD\uFFFD\uFFFD"},                // overlong
      {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},                // a surrogate
      {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},      // above U+10FFFF
      {"\xE3\x81", "\uFFFD"},                                // the end is missing
      {"\xE3\x81q", "\uFFFDq"},                              // two of three bytes
      {"\xF0\x9F\x98\xE3\x81\x82", "\uFFFD\u3042"},          // three of four bytes
      {"\xF1\x80\x80\xE1\x80\xC2 ", "\uFFFD\uFFFD\uFFFD "},  // table 3-8 of the standard
      {"0123456789\xC3", "0123456789\uFFFD"},
  };
  for (const auto& [broken, repaired] : kCases) {
    EXPECT_EQ(RepairUtf8(broken), repaired) << testing::PrintToString(broken);
    EXPECT_EQ(ValidPrefix(broken) == broken.size(), broken.empty());
  }
}

TEST(Unicode, ASequenceThatTheNextBytesMayCompleteIsToldFromABrokenOne) {
  EXPECT_TRUE(DecodeFirst("\xF0\x9F\x98").truncated);
  EXPECT_TRUE(DecodeFirst("\xE3").truncated);
  EXPECT_FALSE(DecodeFirst("\xF0\x9Fq").truncated);
  EXPECT_FALSE(DecodeFirst("\xFF").truncated);
  EXPECT_FALSE(DecodeFirst("").truncated);
}

TEST(Unicode, RepairedBytesLeadBackToTheBrokenOnes) {
  SourceMap map;
  EXPECT_EQ(RepairUtf8("a\xE3\x81zz\xFF", &map), "a\uFFFDzz\uFFFD");
  EXPECT_EQ(map.Source(0, 1), (ByteRange{0, 1}));
  EXPECT_EQ(map.Source(1, 4), (ByteRange{1, 3}));
  EXPECT_EQ(map.Source(2, 3), (ByteRange{1, 3}));  // a part of a replacement: the whole
  EXPECT_EQ(map.Source(4, 6), (ByteRange{3, 5}));
  EXPECT_EQ(map.Source(6, 9), (ByteRange{5, 6}));
  EXPECT_EQ(map.Source(0, 9), (ByteRange{0, 6}));
}

std::string Nfc(std::string_view text) {
  std::string out(text);
  SourceMap map;
  NormalizeNfc(text, &out, &map);
  return out;
}

TEST(Nfc, ComposesReordersAndExcludesAsTheStandardSays) {
  EXPECT_EQ(Nfc("cafe\u0301s"), "caf\u00E9s");
  EXPECT_EQ(Nfc("\u212B"), "\u00C5");                             // ångström sign
  EXPECT_EQ(Nfc("\u1112\u1161\u11AB"), "\uD55C");                 // conjoining jamo
  EXPECT_EQ(Nfc("\uD558\u11AB"), "\uD55C");                       // a syllable takes a final
  EXPECT_EQ(Nfc("q\u0307\u0323"), "q\u0323\u0307");               // marks in order
  EXPECT_EQ(Nfc("\u0915\u093C"), "\u0915\u093C");                 // excluded from composition
  EXPECT_EQ(Nfc("\u0958"), "\u0915\u093C");                       // excluded from composition
  EXPECT_EQ(Nfc("\u304B\u3099"), "\u304C");                       // か + voiced mark
  EXPECT_EQ(Nfc("\u0344"), "\u0308\u0301");                       // decomposes into two marks
  EXPECT_EQ(Nfc("a\u0301\u0300 \u0301"), "\u00E1\u0300 \u0301");  // a mark on a space stays
}

TEST(Nfc, TellsTextThatIsInTheFormAlready) {
  std::string out = "untouched";
  SourceMap map;
  EXPECT_FALSE(NormalizeNfc("plain, caf\u00E9, \u65E5\u672C, \uD55C, \U0001F600", &out, &map));
  EXPECT_FALSE(NormalizeNfc("", &out, &map));
  EXPECT_EQ(out, "untouched");
}

TEST(Nfc, ChangedRunsLeadBackToTheRunsTheyReplace) {
  SourceMap map;
  std::string out;
  ASSERT_TRUE(NormalizeNfc("xe\u0301yz", &out, &map));
  ASSERT_EQ(out, "x\u00E9yz");
  EXPECT_EQ(map.Source(0, 1), (ByteRange{0, 1}));
  EXPECT_EQ(map.Source(1, 3), (ByteRange{1, 4}));
  EXPECT_EQ(map.Source(3, 5), (ByteRange{4, 6}));
}

// utf8proc over the whole text is what the runs must add up to.
TEST(Nfc, RunByRunGivesWhatTheWholeTextGives) {
  const std::vector<char32_t> kAlphabet = {
      U'a',      U'e',      U' ',      U'\u0301', U'\u0323', U'\u0307', U'\u0344', U'\u00E9',
      U'\u1100', U'\u1161', U'\u11A8', U'\uAC00', U'\u0915', U'\u093C', U'\u0958', U'\u304B',
      U'\u3099', U'\u212B', U'\u0B47', U'\u0B3E', U'\u0F71', U'\u0F72', U'\u0F73', U'\U0001F600'};
  RandomStream random(2, RandomPurpose::kShuffle);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (uint64_t left = random.NextBelow(12); left > 0; --left) {
      AppendUtf8(kAlphabet[random.NextBelow(kAlphabet.size())], &text);
    }
    utf8proc_uint8_t* whole = utf8proc_NFC(reinterpret_cast<const utf8proc_uint8_t*>(text.c_str()));
    ASSERT_EQ(Nfc(text), reinterpret_cast<const char*>(whole)) << testing::PrintToString(text);
    std::free(whole);
  }
}

TEST(Unicode, ClassesAreThoseOfTheStandard) {
  for (const char32_t c : {U'0', U'\u0663', U'\u216B', U'\u00BD', U'\u00B2', U'\u4E00'}) {
    EXPECT_EQ(IsNumeric(c), c != U'\u4E00') << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {U'\t', U' ', U'\u0085', U'\u00A0', U'\u2003', U'\u3000', U'\u200B'}) {
    EXPECT_EQ(IsSpace(c), c != U'\u200B') << static_cast<uint32_t>(c);  // no space since 4.0
  }
  for (const char32_t c : {U'a', U'_', U'7', U'\u0301', U'\u3042', U'\u200D', U'\u24B6', U'-'}) {
    EXPECT_EQ(IsWord(c), c != U'-') << static_cast<uint32_t>(c);
  }
}

}  // namespace
}  // namespace tanren::text
