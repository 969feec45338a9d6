// Another incarnation speaks for a node: its agent's state folder went, or another machine took the
// name. What the former one began lives until its own lease has passed, and nobody tells of it.
#include "gtest/gtest.h"
#include "tests/coordinator/state/core_driver.h"

namespace tanren::coordinator {
namespace {

class CoreIncarnation : public ::testing::Test {
 protected:
  void SetUp() override {
    driver.AddNode("a");
    job = driver.SubmitOne();
  }
  // The node's agent starts anew and knows nothing.
  void Replace() {
    driver.holds["a"].clear();
    JoinInput join;
    join.node = driver.node("a");
    join.node.set_incarnation(join.node.incarnation() + "'");
    driver.Step(join);
    driver.Report("a");
  }
  int64_t lease_and_grace() const { return driver.options.lease_ms + driver.options.grace_ms; }

  CoreDriver driver;
  uint64_t job = 0;
};

TEST_F(CoreIncarnation, WhatTheFormerOneBeganEndsOnlyWhenItsLeaseHasPassed) {
  driver.Run(job, {"a"});
  Replace();
  driver.Wait(lease_and_grace() - 2'500, {"a"});
  EXPECT_EQ(driver.state(job), RUNNING) << "its processes may live";
  EXPECT_EQ(driver.core->cluster().loads.at("a").gpus_free, 3);
  driver.Wait(5'000, {"a"});
  EXPECT_EQ(driver.state(job), PENDING);
  EXPECT_EQ(driver.job(job).attempt().end().kind(), AttemptEnd::INFRASTRUCTURE);
}

TEST_F(CoreIncarnation, ItIsNotToldToStopWhatItWouldCallEnded) {
  driver.Run(job, {"a"});
  Replace();
  driver.Cancel(job);
  EXPECT_EQ(driver.Order(job, "a")->stop(), STOP_REASON_UNSPECIFIED);
  driver.Wait(lease_and_grace() + 2'500, {"a"});
  EXPECT_EQ(driver.state(job), CANCELLED);
}

TEST_F(CoreIncarnation, NothingIsBegunTwiceAfterARestartOfTheCoordinator) {
  driver.Place(job, {"a"});
  ASSERT_TRUE(driver.Order(job, "a")->has_start());
  // Its agent begins it and loses its folder; the coordinator dies and hears of neither.
  driver.Restart();
  Replace();
  EXPECT_FALSE(driver.Order(job, "a")->has_start());
  driver.Wait(lease_and_grace() + 2'500, {"a"});
  EXPECT_TRUE(driver.Order(job, "a")->has_start());
}

TEST_F(CoreIncarnation, WhatIsListedAfterARestartIsTakenAtItsWord) {
  driver.Run(job, {"a"});
  driver.Restart();
  driver.Report("a");
  driver.Cancel(job);
  EXPECT_EQ(driver.Order(job, "a")->stop(), CANCELLED_BY_USER);
}

TEST_F(CoreIncarnation, AClockThatWasSetBackMakesNoBackOffLonger) {
  driver.Run(job, {"a"});
  driver.SayEnded(job, "a", AttemptEnd::INFRASTRUCTURE);
  ASSERT_GT(driver.job(job).not_before_ms(), 0);
  driver.now.wall_ms -= 24LL * 3600 * 1000;
  driver.Restart();
  driver.Wait(100);
  EXPECT_EQ(driver.job(job).not_before_ms(), 0);
}

TEST_F(CoreIncarnation, WordsOfAnEarlierStreamThatComeOnceMoreEndNothing) {
  driver.Run(job, {"a"});
  JoinInput join;
  join.node = driver.node("a");
  join.stream = 7;
  driver.Step(join);
  // What it said when it held nothing yet, and what it answered to the orders of that stream.
  ReportInput said{"a", {}, 7};
  said.report.set_sequence(1);
  driver.Step(said);
  const uint64_t orders = driver.outcome.orders.at("a").sequence();
  said.report.set_sequence(2);
  said.report.set_orders(3);
  driver.Step(said);
  EXPECT_EQ(driver.state(job), RUNNING);
  // Who answers the orders of this stream speaks now.
  said.report.set_sequence(3);
  said.report.set_orders(orders);
  driver.Step(said);
  EXPECT_EQ(driver.state(job), PENDING);
}

}  // namespace
}  // namespace tanren::coordinator
