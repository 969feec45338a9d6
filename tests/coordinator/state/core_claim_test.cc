// An agent speaks for its own node alone.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/coordinator/state/core_driver.h"

namespace tanren::coordinator {
namespace {

using ::testing::HasSubstr;

class CoreClaim : public ::testing::Test {
 protected:
  absl::Status Join(const std::string& key, bool vouched = false) {
    JoinInput join;
    join.node.set_name("a");
    join.node.set_cpu_millis(16'000);
    join.node.set_incarnation("first");
    join.node.set_agent_key_sha256(key);
    join.vouched = vouched;
    join.stream = ++streams;
    return driver.Step(join).status;
  }

  CoreDriver driver;
  uint64_t streams = 0;
};

TEST_F(CoreClaim, TheFirstKeyStaysTheNodes) {
  ASSERT_TRUE(Join("one").ok());
  ASSERT_TRUE(Join("one").ok());
  const absl::Status refused = Join("two");
  EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("remove-node a"));
  EXPECT_TRUE(driver.outcome.commit.empty());
  EXPECT_EQ(Join("").code(), absl::StatusCode::kPermissionDenied);
  driver.Restart();
  EXPECT_EQ(Join("two").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(Join("one").ok());
}

TEST_F(CoreClaim, ARefusedJoinLeavesTheNodesStreamAsItIs) {
  ASSERT_TRUE(Join("one").ok());
  const uint64_t stream = streams;
  ASSERT_FALSE(Join("two").ok());
  ReportInput report{"a", {}, stream};
  report.report.set_sequence(1);
  EXPECT_TRUE(driver.Step(report).status.ok());
}

TEST_F(CoreClaim, AnAgentWithoutAKeyLeavesTheNameToBeClaimed) {
  ASSERT_TRUE(Join("").ok());
  ASSERT_TRUE(Join("one").ok());
  EXPECT_FALSE(Join("").ok());
}

TEST_F(CoreClaim, WhoIsVouchedForTakesTheNameOver) {
  ASSERT_TRUE(Join("one").ok());
  ASSERT_TRUE(Join("two", true).ok());
  EXPECT_FALSE(Join("one").ok());
  ASSERT_TRUE(Join("", true).ok());
  EXPECT_TRUE(Join("two").ok()) << "no key at all takes none away";
}

TEST_F(CoreClaim, ARemovedNodesNameIsFree) {
  ASSERT_TRUE(Join("one").ok());
  ASSERT_TRUE(
      driver.Step(ChangeNodeInput{ChangeNodeInput::Kind::kRemove, "root", "a", "", "", false})
          .status.ok());
  EXPECT_TRUE(Join("two").ok());
}

// A job of which something lives on a node that no record gives it is placed nowhere else: removing
// the node mustn't forget that.
TEST(CoreRemoval, ANodeWhereSomethingStillLivesIsNotRemoved) {
  CoreDriver driver;
  driver.AddNode("a");
  driver.AddNode("b");
  const uint64_t job = driver.SubmitOne();
  driver.HoldStranger("a", job, 9, PART_STOPPING);
  driver.Report("a");
  const ChangeNodeInput remove{ChangeNodeInput::Kind::kRemove, "root", "a", "", "", false};
  const absl::Status refused = driver.Step(remove).status;
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("1.1.9"));
  driver.TryToPlace(job, {"b"});
  EXPECT_EQ(driver.state(job), PENDING);
  // Unheard of, it has ended once its lease has passed.
  driver.Wait(driver.options.lease_ms + driver.options.grace_ms + 1'000, {"b"});
  EXPECT_TRUE(driver.Step(remove).status.ok()) << driver.outcome.status;
  driver.Place(job, {"b"});
}

TEST(CoreReport, AnAgentBlamesNoMachineButItsOwn) {
  CoreDriver driver;
  driver.AddNode("a");
  driver.AddNode("b");
  const uint64_t job = driver.SubmitOne();
  driver.Run(job, {"a"});
  PartReport& part = driver.Part(job, "a");
  part.mutable_end()->set_kind(AttemptEnd::INFRASTRUCTURE);
  part.mutable_end()->set_signal(9);
  part.mutable_end()->set_node("b");
  driver.Say(job, "a", PART_ENDED);
  EXPECT_EQ(driver.job(job).attempt().end().node(), "a");
  EXPECT_EQ(driver.node("b").suspicions(), 0);
  EXPECT_EQ(driver.node("a").suspicions(), 1);
}

}  // namespace
}  // namespace tanren::coordinator
