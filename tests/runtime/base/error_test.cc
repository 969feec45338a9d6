#include "runtime/base/error.h"

#include <new>

#include "gtest/gtest.h"

namespace tanren {
namespace {

TEST(Error, CarriesItsStatusAcrossAThrow) {
  try {
    ThrowIfError(absl::NotFoundError("model.safetensors: no such file"));
    FAIL() << "nothing was thrown";
  } catch (...) {
    EXPECT_EQ(StatusOfCurrentException(), absl::NotFoundError("model.safetensors: no such file"));
  }
}

TEST(Error, FailedAllocationIsResourceExhausted) {
  try {
    throw std::bad_alloc();
  } catch (...) {
    EXPECT_TRUE(absl::IsResourceExhausted(StatusOfCurrentException()));
  }
}

TEST(Error, CheckNamesTheConditionAndTheValues) {
  const int found = 3;
  try {
    TANREN_CHECK(found == 4, "found {}", found);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("found == 4: found 3"), std::string::npos);
  }
}

TEST(Error, AnnotateKeepsTheCodeAndLeavesOkAlone) {
  EXPECT_EQ(Annotate(absl::DataLossError("short"), "a.gguf"), absl::DataLossError("a.gguf: short"));
  EXPECT_TRUE(Annotate(absl::OkStatus(), "a.gguf").ok());
}

}  // namespace
}  // namespace tanren
