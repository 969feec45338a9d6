#include "coordinator/launch/local/libraries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tanren::coordinator {
namespace {

TEST(Libraries, OfAProgramAreThoseThatTheLoaderFinds) {
  const std::vector<std::string> found = LibrariesOf("/bin/sh");
  EXPECT_THAT(found, testing::Contains(testing::AllOf(testing::StartsWith("/"),
                                                      testing::EndsWith("/libc.so.6"))));
}

TEST(Libraries, OfWhatIsNoProgramThereAreNone) {
  EXPECT_TRUE(LibrariesOf("/etc/passwd").empty());
  EXPECT_TRUE(LibrariesOf("/absent").empty());
  EXPECT_TRUE(LibrariesOf("").empty());
}

}  // namespace
}  // namespace tanren::coordinator
