#include "runtime/base/random.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "gtest/gtest.h"

namespace tanren {
namespace {

// Known answers of the Random123 distribution's kat_vectors for philox4x32-10.
TEST(Philox, GivesThePublishedKnownAnswers) {
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(RandomStream, DependsOnEveryPartOfItsName) {
  std::set<uint32_t> first_words;
  for (uint64_t seed : {1, 2}) {
    for (auto purpose : {RandomPurpose::kShuffle, RandomPurpose::kSampling}) {
      for (uint32_t a : {0, 1}) {
        for (uint32_t b : {0, 1}) first_words.insert(RandomStream(seed, purpose, a, b).NextWord());
      }
    }
  }
  EXPECT_EQ(first_words.size(), 16u);
}

TEST(RandomStream, UniformAndNormalHaveTheirMoments) {
  RandomStream stream(7, RandomPurpose::kInitialization);
  double uniform = 0, normal = 0, normal_squared = 0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    const double u = stream.NextUniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    uniform += u;
    const double n = stream.NextNormal();
    normal += n;
    normal_squared += n * n;
  }
  EXPECT_NEAR(uniform / kCount, 0.5, 0.005);
  EXPECT_NEAR(normal / kCount, 0.0, 0.015);
  EXPECT_NEAR(normal_squared / kCount, 1.0, 0.02);
}

TEST(Permutation, HoldsEachIndexOnceAndIsNotTheIdentity) {
  auto order = Permutation(1000, RandomStream(3, RandomPurpose::kShuffle));
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (uint64_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i);
}

}  // namespace
}  // namespace tanren
