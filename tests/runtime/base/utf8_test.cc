#include "runtime/base/utf8.h"

#include <gtest/gtest.h>

namespace tanren {
namespace {

TEST(ValidUtf8, WhatIsWholeStays) { EXPECT_EQ(ValidUtf8("鍛錬 é 🔨\n", 100), "鍛錬 é 🔨\n"); }

TEST(ValidUtf8, TheLimitCutsNoCharacter) {
  EXPECT_EQ(ValidUtf8("鍛錬", 6), "鍛錬");
  EXPECT_EQ(ValidUtf8("鍛錬", 5), "鍛");
  EXPECT_EQ(ValidUtf8("鍛錬", 2), "");
}

TEST(ValidUtf8, EachByteOfNoCharacterIsReplaced) {
  EXPECT_EQ(ValidUtf8("a\xFF\xC3z", 100), "a??z");
  EXPECT_EQ(ValidUtf8("\xE9\x8D", 100), "??") << "cut at its end";
  EXPECT_EQ(ValidUtf8("\xC0\x80", 100), "??") << "overlong";
  EXPECT_EQ(ValidUtf8("\xED\xA0\x80", 100), "???") << "a surrogate";
  EXPECT_EQ(ValidUtf8("\xF4\x90\x80\x80", 100), "????") << "above U+10FFFF";
}

}  // namespace
}  // namespace tanren
