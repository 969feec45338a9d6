#include "runtime/base/build.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/file.h"

namespace tanren {
namespace {

// The bytes that a hexadecimal text stands for.
std::string BytesOf(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

TEST(BuildId, IsThatOfThisProgramAndOfNoOther) {
  const std::string id = BuildId();
  ASSERT_GE(id.size(), 16u);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_THAT(*ReadFile("/proc/self/exe"), testing::HasSubstr(BytesOf(id)));
  EXPECT_THAT(*ReadFile("/bin/sh"), testing::Not(testing::HasSubstr(BytesOf(id))));
}

TEST(VersionText, NamesTheProgramItsVersionAndItsBuild) {
  EXPECT_EQ(VersionText("tanren"),
            "tanren " + std::string(kVersion) + " (build " + BuildId() + ")");
}

}  // namespace
}  // namespace tanren
