// Against Hugging Face's tokenizers, each character of Unicode by itself:
// tests/golden/characters.py.
#include <set>
#include <sstream>
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "runtime/text/pretokenizer_regex.h"
#include "runtime/text/unicode.h"
#include "tests/runtime/text/golden_samples.h"

namespace tanren::text {
namespace {

using Characters = std::set<char32_t>;

Characters ReadRanges(const std::string& ranges) {
  Characters characters;
  std::istringstream words(ranges);
  for (std::string word; words >> word;) {
    const size_t dash = word.find('-');
    const auto first = static_cast<char32_t>(std::stoul(word, nullptr, 16));
    const auto last = dash == std::string::npos
                          ? first
                          : static_cast<char32_t>(std::stoul(word.substr(dash + 1), nullptr, 16));
    for (char32_t c = first; c <= last; ++c) characters.insert(characters.end(), c);
  }
  return characters;
}

// All but the surrogates, which UTF-8 has not.
template <typename Is>
Characters Where(Is is) {
  Characters characters;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if ((c < 0xD800 || c > 0xDFFF) && is(c)) characters.insert(characters.end(), c);
  }
  return characters;
}

std::string EveryCharacter() {
  std::string text;
  for (const char32_t c : Where([](char32_t) { return true; })) AppendUtf8(c, &text);
  return text;
}

constexpr size_t kCharacters = 0x110000 - 0x800;

// `pattern` matches single characters.
Characters MatchedBy(const std::string& pattern) {
  static const std::string text = EveryCharacter();
  Characters characters;
  for (const TextSpan& span : ValueOrThrow(Regex::Compile(pattern)).FindAll(text)) {
    const char32_t c = DecodeFirst(std::string_view(text).substr(span.begin)).code_point;
    characters.insert(characters.end(), c);
  }
  return characters;
}

// The characters that are in one of the two only, for a test to show.
std::string Difference(const Characters& ours, const Characters& peers) {
  std::string difference;
  for (const char32_t c : ours) {
    if (!peers.contains(c)) difference += fmt::format("+{:X} ", static_cast<uint32_t>(c));
  }
  for (const char32_t c : peers) {
    if (!ours.contains(c)) difference += fmt::format("-{:X} ", static_cast<uint32_t>(c));
  }
  return difference;
}

class CharactersGolden : public testing::Test {
 protected:
  Characters Peers(const std::string& name) const { return ReadRanges(golden_.at(name)); }
  const nlohmann::json golden_ =
      nlohmann::json::parse(ReadGoldenFile("tests/golden/characters.json"));
};

TEST_F(CharactersGolden, CategoriesInPatternsAreThePeers) {
  size_t categories = 0;
  for (const auto& [name, ranges] : golden_.items()) {
    if (name.size() != 2) continue;
    ++categories;
    const Characters peers = ReadRanges(ranges);
    // A vowel sign that was Mn before Unicode 15: a class can only be added to.
    const size_t more = name == "Mn" ? 1 : 0;
    const std::string expected = more == 1 ? "+1171E " : "";
    EXPECT_EQ(Difference(MatchedBy(fmt::format("\\p{{{}}}", name)), peers), expected) << name;
    EXPECT_EQ(Difference(MatchedBy(fmt::format("[\\p{{{}}}]", name)), peers), expected) << name;
    EXPECT_EQ(MatchedBy(fmt::format("\\P{{{}}}", name)).size(), kCharacters - peers.size() - more)
        << name;
  }
  EXPECT_EQ(categories, 28u);
}

TEST_F(CharactersGolden, CategoriesAreTakenTogetherByTheirFirstLetter) {
  for (const std::string major : {"L", "M", "N", "P", "S"}) {
    Characters peers;
    for (const auto& [name, ranges] : golden_.items()) {
      if (name.size() == 2 && name.starts_with(major)) peers.merge(ReadRanges(ranges));
    }
    EXPECT_EQ(Difference(MatchedBy(fmt::format("\\p{{{}}}", major)), peers), "") << major;
  }
}

TEST_F(CharactersGolden, ClassesInPatternsAreThePeers) {
  EXPECT_EQ(Difference(MatchedBy("\\p{Han}"), Peers("Han")), "");
  EXPECT_EQ(Difference(MatchedBy("\\s"), Peers("s")), "");
  EXPECT_EQ(Difference(MatchedBy("\\w"), Peers("w")), "");
  EXPECT_EQ(Difference(Where(IsSpace), Peers("s")), "");
}

TEST_F(CharactersGolden, DigitsAndWordCharactersAreThePeers) {
  EXPECT_EQ(Difference(Where(IsNumeric), Peers("digits")), "");
  EXPECT_EQ(Difference(Where(IsWord), Peers("word")), "");
}

TEST_F(CharactersGolden, TheSameMarksMoveInNormalisation) {
  const auto moves = [](const std::string& text) {
    std::string out;
    SourceMap map;
    return NormalizeNfc(text, &out, &map);
  };
  const auto is_mark = [&](char32_t c) {
    std::string text;
    AppendUtf8(c, &text);
    for (const std::string mark : {"\u0300", "\u0334", "\u0345"}) {
      if (moves("q" + text + mark) || moves("q" + mark + text)) return true;
    }
    return false;
  };
  EXPECT_EQ(Difference(Where(is_mark), Peers("mark")), "");
}

}  // namespace
}  // namespace tanren::text
