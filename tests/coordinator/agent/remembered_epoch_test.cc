#include "coordinator/agent/remembered_epoch.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {
namespace {

using ::testing::HasSubstr;

TEST(RememberedEpoch, IsWhatWasRememberedLastAndNoneAtFirst) {
  const TemporaryFolder folder;
  EXPECT_EQ(ValueOrThrow(RememberedEpoch(folder.path())), 0u);
  ASSERT_TRUE(RememberEpoch(folder.path(), 7).ok());
  ASSERT_TRUE(RememberEpoch(folder.path(), 1'700'000'000'000).ok());
  EXPECT_EQ(ValueOrThrow(RememberedEpoch(folder.path())), 1'700'000'000'000u);
}

TEST(RememberedEpoch, WhatIsNoNumberIsAnErrorThatNamesTheFile) {
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder.path() / "epoch", "twelve\n").ok());
  const absl::Status status = RememberedEpoch(folder.path()).status();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr((folder.path() / "epoch").string()));
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"twelve\""));
}

}  // namespace
}  // namespace tanren::coordinator
