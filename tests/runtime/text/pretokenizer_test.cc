#include "runtime/text/pretokenizer.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"

namespace tanren::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

std::vector<std::string> Words(const PreTokenizer& step, std::string_view text) {
  const SourceMap map;
  SplitText split;
  split.text = text;
  split.words = {{0, text.size()}};
  split.map = &map;
  step.Split(&split);
  std::vector<std::string> words;
  for (const TextSpan& word : split.words) {
    words.emplace_back(split.text.substr(word.begin, word.end - word.begin));
  }
  return words;
}

std::vector<std::string> Matches(std::string_view pattern, std::string_view text) {
  std::vector<std::string> matches;
  for (const TextSpan& span : ValueOrThrow(Regex::Compile(pattern)).FindAll(text)) {
    matches.emplace_back(text.substr(span.begin, span.end - span.begin));
  }
  return matches;
}

// The example and the answers are those of the tokenizers library's own tests.
TEST(Split, BehavioursAreTheFields) {
  const auto split = [](SplitBehavior behavior) {
    return Words(*MakeLiteralSplit("-", behavior, false), "the-final--countdown");
  };
  EXPECT_THAT(split(SplitBehavior::kRemoved), ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(split(SplitBehavior::kIsolated),
              ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(split(SplitBehavior::kMergedWithPrevious),
              ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(split(SplitBehavior::kMergedWithNext),
              ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(split(SplitBehavior::kContiguous),
              ElementsAre("the", "-", "final", "--", "countdown"));
}

TEST(Split, InvertCutsBetweenTheMatches) {
  const auto words = MakeRegexSplit(ValueOrThrow(Regex::Compile("\\p{L}+")),
                                    SplitBehavior::kRemoved, /*invert=*/true);
  EXPECT_THAT(Words(*words, "ab, cd!"), ElementsAre("ab", "cd"));
}

TEST(Split, DigitsAreCutOffAloneOrInRuns) {
  EXPECT_THAT(Words(*MakeDigits(true), "a12 \u0663½b"),
              ElementsAre("a", "1", "2", " ", "\u0663", "½", "b"));
  EXPECT_THAT(Words(*MakeDigits(false), "a12 \u0663½b"),
              ElementsAre("a", "12", " ", "\u0663½", "b"));
}

TEST(Split, ASpaceIsPutBeforeTheTextAndMappedToNothing) {
  const SourceMap map;
  SplitText split;
  split.text = "ab";
  split.words = {{0, 2}};
  split.map = &map;
  MakePrefixSpace()->Split(&split);
  EXPECT_EQ(split.text, " ab");
  EXPECT_EQ(split.map->Source(0, 1), (ByteRange{0, 0}));
  EXPECT_EQ(split.map->Source(0, 2), (ByteRange{0, 1}));
  EXPECT_EQ(split.map->Source(1, 3), (ByteRange{0, 2}));
  EXPECT_THAT(Words(*MakePrefixSpace(), " ab"), ElementsAre(" ab"));
}

TEST(Split, Gpt2sPatternKeepsASpaceWithTheWordAfterIt) {
  const auto step =
      MakeRegexSplit(ValueOrThrow(Regex::Compile(Gpt2Pattern())), SplitBehavior::kIsolated, false);
  EXPECT_THAT(Words(*step, "I'll go  now: 12a\n\n"),
              ElementsAre("I", "'ll", " go", " ", " now", ":", " 12", "a", "\n\n"));
}

TEST(Regex, TheUnicodeVersionIsStated) {
  EXPECT_THAT(RegexUnicodeVersion(), MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
}

TEST(Regex, ClassesMeanWhatTheyMeanInTheField) {
  EXPECT_THAT(Matches("\\s", "a\u180E\u3000\x0B\u0085"), ElementsAre("\u3000", "\x0B", "\u0085"));
  EXPECT_THAT(Matches("[^\\s]", " a\u180E"), ElementsAre("a", "\u180E"));
  EXPECT_THAT(Matches("[\\S]+", "a b"), ElementsAre("a", "b"));
  EXPECT_THAT(Matches("\\w+", "e\u0301_9-\u24D0"), ElementsAre("e\u0301_9", "\u24D0"));
  EXPECT_THAT(Matches("\\p{^L}", "a1"), ElementsAre("1"));
  EXPECT_THAT(Matches("\\P{^L}", "a1"), ElementsAre("a"));
  EXPECT_THAT(Matches("\\p{Han}+", "a日本。"), ElementsAre("日本"));
  EXPECT_THAT(Matches("a$", "a\na"), ElementsAre("a", "a"));  // the end of a line
  EXPECT_THAT(Matches("(?i:'S)", "'s'ſ"), ElementsAre("'s", "'ſ"));
}

TEST(Regex, EmptyMatchesAreLeftOutAndTheSearchGoesOn) {
  EXPECT_THAT(Matches("b*", "あbbあb"), ElementsAre("bb", "b"));
}

TEST(Regex, WhatMeansSomethingElseInPcreIsRefused) {
  for (const char* pattern : {"[a&&b]", "[a[b]]", "a{2}+", "a{,3}", "(?x)a", "(?m:.)", "\\bword",
                              "\\h", "\\1", "\\pL", "\\p{L", "(?<name>a)", "\\"}) {
    const auto refused = Regex::Compile(pattern);
    ASSERT_FALSE(refused.ok()) << pattern;
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr(pattern));
  }
}

TEST(Regex, APatternThatIsTooLongIsRefused) {
  EXPECT_FALSE(Regex::Compile(std::string(20000, 'a')).ok());
}

TEST(Regex, AMatchThatTakesTooManyStepsIsAnError) {
  const Regex regex = ValueOrThrow(Regex::Compile("(a|aa)+$"));
  const std::string text = std::string(60, 'a') + "b";
  try {
    regex.FindAll(text);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_TRUE(absl::IsResourceExhausted(error.status()));
    EXPECT_THAT(error.what(), HasSubstr("splitting 61 bytes"));
  }
}

TEST(NamedPreTokenizer, AnUnknownNameIsAnsweredWithTheKnownOnes) {
  EXPECT_THAT(std::string(FindPreTokenizer("tekken").status().message()),
              HasSubstr("\"llama-bpe\""));
  EXPECT_TRUE(FindPreTokenizer("llama-bpe")->ignore_merges);
}

}  // namespace
}  // namespace tanren::text
