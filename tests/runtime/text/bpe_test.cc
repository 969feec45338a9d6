#include "runtime/text/bpe.h"

#include <algorithm>
#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/random.h"
#include "runtime/text/bpe_bytes.h"

namespace tanren::text {
namespace {

using ::testing::ElementsAre;

std::array<int32_t, 256> EveryByteItself() {
  std::array<int32_t, 256> ids{};
  for (size_t byte = 0; byte < ids.size(); ++byte) ids[byte] = static_cast<int32_t>(byte);
  return ids;
}

std::vector<int32_t> Ids(const BpeModel& model, std::string_view word) {
  std::vector<BpeSymbol> symbols;
  model.Encode(word, &symbols);
  std::vector<int32_t> ids;
  for (const BpeSymbol& symbol : symbols) ids.push_back(symbol.id);
  return ids;
}

// The definition, word for word: find the pair that comes first in the list, the leftmost of equal
// ones, join it, and start again.
std::vector<int32_t> ByDefinition(const std::vector<BpeMerge>& merges, std::string_view word) {
  std::vector<int32_t> ids;
  for (const char byte : word) ids.push_back(static_cast<uint8_t>(byte));
  while (true) {
    const auto at = [&](const BpeMerge& merge) {
      return std::adjacent_find(ids.begin(), ids.end(), [&](int32_t left, int32_t right) {
        return left == merge.left && right == merge.right;
      });
    };
    const auto first = std::find_if(merges.begin(), merges.end(),
                                    [&](const BpeMerge& merge) { return at(merge) != ids.end(); });
    if (first == merges.end()) return ids;
    const auto pair = at(*first);
    *pair = first->result;
    ids.erase(pair + 1);
  }
}

// Merges over a small alphabet, each of two tokens that exist by then.
std::vector<BpeMerge> RandomMerges(RandomStream* random) {
  std::vector<int32_t> tokens = {'a', 'b', 'c'};
  std::map<std::pair<int32_t, int32_t>, int32_t> seen;
  std::vector<BpeMerge> merges;
  for (int32_t id = 256; id < 286; ++id) {
    const int32_t left = tokens[random->NextBelow(tokens.size())];
    const int32_t right = tokens[random->NextBelow(tokens.size())];
    if (!seen.try_emplace({left, right}, id).second) continue;
    merges.push_back({left, right, id});
    tokens.push_back(id);
  }
  // In any order: a merge may come before those that make its parts.
  for (size_t i = merges.size(); i > 1; --i) {
    std::swap(merges[i - 1], merges[random->NextBelow(i)]);
  }
  return merges;
}

TEST(Bpe, WordsOfAnyLengthAreJoinedAsTheDefinitionSays) {
  RandomStream random(1, RandomPurpose::kShuffle);
  for (int round = 0; round < 300; ++round) {
    const std::vector<BpeMerge> merges = RandomMerges(&random);
    const BpeModel model(EveryByteItself(), merges, {}, {});
    std::string word;  // both sides of the length from which a queue is used
    for (uint64_t left = random.NextBelow(130); left > 0; --left) {
      word.push_back(static_cast<char>('a' + random.NextBelow(3)));
    }
    ASSERT_EQ(Ids(model, word), ByDefinition(merges, word)) << word;
  }
}

TEST(Bpe, SymbolsCoverTheWordWithoutGaps) {
  const BpeModel model(EveryByteItself(), {{'a', 'b', 256}, {256, 256, 257}}, {}, {});
  for (const size_t repeats : {3u, 60u}) {
    std::string word;
    for (size_t i = 0; i < repeats; ++i) word += "ab";
    std::vector<BpeSymbol> symbols;
    model.Encode(word, &symbols);
    uint32_t done = 0;
    for (const BpeSymbol& symbol : symbols) {
      EXPECT_EQ(symbol.begin, done);
      EXPECT_EQ(symbol.end - symbol.begin, symbol.id == 257 ? 4u : 2u);
      done = symbol.end;
    }
    EXPECT_EQ(done, word.size());
  }
}

TEST(Bpe, SymbolsAreAppended) {
  const BpeModel model(EveryByteItself(), {{'a', 'b', 256}}, {}, {});
  std::vector<BpeSymbol> symbols = {{7, 0, 1}};
  model.Encode("ab", &symbols);
  ASSERT_EQ(symbols.size(), 2u);
  EXPECT_EQ(symbols[0].id, 7);
  EXPECT_EQ(symbols[1].id, 256);
}

TEST(Bpe, OfEqualPairsTheLastCounts) {
  const BpeModel model(EveryByteItself(), {{'a', 'b', 256}, {'a', 'b', 257}}, {}, {});
  EXPECT_THAT(Ids(model, "ab"), ElementsAre(257));
}

TEST(Bpe, BytesWithoutATokenAreDroppedOrUnknown) {
  std::array<int32_t, 256> bytes = EveryByteItself();
  bytes['x'] = -1;
  EXPECT_THAT(Ids(BpeModel(bytes, {}, {}, {}), "axxb"), ElementsAre('a', 'b'));
  EXPECT_THAT(Ids(BpeModel(bytes, {}, {}, {false, 500, false}), "axxb"),
              ElementsAre('a', 500, 500, 'b'));
  EXPECT_THAT(Ids(BpeModel(bytes, {}, {}, {false, 500, true}), "axxbx"),
              ElementsAre('a', 500, 'b', 500));
}

TEST(Bpe, WholeWordsGoBeforeMergesOnlyWhereMergesAreIgnored) {
  const std::vector<BpeMerge> merges = {{'b', 'c', 256}};
  const std::vector<std::pair<std::string_view, int32_t>> words = {{"abc", 300}};
  EXPECT_THAT(Ids(BpeModel(EveryByteItself(), merges, words, {true}), "abc"), ElementsAre(300));
  EXPECT_THAT(Ids(BpeModel(EveryByteItself(), merges, words, {true}), "abcd"),
              ElementsAre('a', 256, 'd'));
  EXPECT_THAT(Ids(BpeModel(EveryByteItself(), merges, words, {false}), "abc"),
              ElementsAre('a', 256));
}

TEST(BpeBytes, EveryByteHasACharacterOfItsOwnAndComesBack) {
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(CharacterByte(ByteCharacter(static_cast<uint8_t>(byte))), byte);
  }
  EXPECT_EQ(ByteCharacter(' '), U'\u0120');
  EXPECT_EQ(ByteCharacter('\n'), U'\u010A');
  EXPECT_EQ(ByteCharacter('a'), U'a');
  EXPECT_EQ(ByteCharacter(0xAD), U'\u0143');
  EXPECT_EQ(CharacterByte(U'\u0144'), -1);
  EXPECT_EQ(CharacterByte(U'\U0010FFFF'), -1);
}

TEST(BpeBytes, ATokenOutsideTheAlphabetStandsForItsOwnText) {
  bool in_alphabet = false;
  EXPECT_EQ(TokenBytes("Ġthe", &in_alphabet), " the");
  EXPECT_TRUE(in_alphabet);
  EXPECT_EQ(TokenBytes("<pad id>", &in_alphabet), "<pad id>");  // a space is not in the alphabet
  EXPECT_FALSE(in_alphabet);
}

}  // namespace
}  // namespace tanren::text
