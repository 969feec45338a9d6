#include "trainer/rollout/stop_scanner.h"

#include <gtest/gtest.h>

namespace tanren::trainer {
namespace {

// Pushes `text` in pieces of `size` bytes and returns all that came out.
std::string Shown(StopScanner& scanner, std::string_view text, size_t size) {
  std::string shown;
  for (size_t i = 0; i < text.size(); i += size) shown += scanner.Push(text.substr(i, size));
  if (!scanner.stopped()) shown += scanner.Finish();
  return shown;
}

TEST(StopScanner, EndsBeforeTheFirstStopStringHoweverTheTextIsCut) {
  for (size_t size : {1u, 2u, 3u, 5u, 100u}) {
    StopScanner scanner({"###", "END"});
    EXPECT_EQ(Shown(scanner, "one ## two END three ###", size), "one ## two ");
    EXPECT_TRUE(scanner.stopped());
  }
}

TEST(StopScanner, WithoutAStopEverythingComesOut) {
  for (size_t size : {1u, 2u, 7u}) {
    StopScanner scanner({"abcd"});
    EXPECT_EQ(Shown(scanner, "ab abc abcx ab", size), "ab abc abcx ab");
    EXPECT_FALSE(scanner.stopped());
  }
}

TEST(StopScanner, HoldsBackOnlyWhatCouldBecomeAStop) {
  StopScanner scanner({"stop"});
  EXPECT_EQ(scanner.Push("go st"), "go ");
  EXPECT_EQ(scanner.Push("ay"), "stay");
  EXPECT_EQ(scanner.Push("!"), "!");
}

TEST(StopScanner, ARepeatedBeginningIsFound) {
  StopScanner scanner({"aab"});
  EXPECT_EQ(Shown(scanner, "xaaab", 1), "xa");
}

TEST(StopScanner, EmptyStopStringsAreIgnored) {
  StopScanner scanner({""});
  EXPECT_EQ(scanner.Push("text"), "text");
}

}  // namespace
}  // namespace tanren::trainer
