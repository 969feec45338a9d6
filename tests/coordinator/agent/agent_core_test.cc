#include "coordinator/agent/agent_core.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tanren::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

AttemptToken Token(uint64_t job, uint32_t attempt = 1, uint64_t epoch = 7) {
  AttemptToken token;
  token.set_epoch(epoch);
  token.set_job(job);
  token.set_attempt(attempt);
  return token;
}

PartReport Part(const AttemptToken& token, PartState state) {
  PartReport part;
  *part.mutable_token() = token;
  part.set_state(state);
  return part;
}

// Orders 1, 2, … of one stream, which name what was added.
class OrdersMaker {
 public:
  OrdersMaker& Start(const AttemptToken& token) {
    PartOrder* order = Add(token);
    *order->mutable_start()->mutable_token() = token;
    return *this;
  }
  OrdersMaker& Keep(const AttemptToken& token) {
    Add(token);
    return *this;
  }
  OrdersMaker& Stop(const AttemptToken& token, StopReason reason, int64_t grace_ms) {
    PartOrder* order = Add(token);
    order->set_stop(reason);
    order->set_grace_ms(grace_ms);
    return *this;
  }
  Orders Make(uint64_t sequence, uint64_t renewed, uint64_t epoch = 7) {
    orders_.set_sequence(sequence);
    orders_.set_epoch(epoch);
    orders_.set_renewed_report(renewed);
    orders_.set_lease_ms(10'000);
    return orders_;
  }

 private:
  PartOrder* Add(const AttemptToken& token) {
    PartOrder* order = orders_.add_parts();
    *order->mutable_token() = token;
    return order;
  }
  Orders orders_;
};

std::vector<uint64_t> Jobs(const std::vector<PartSpec>& starts) {
  std::vector<uint64_t> jobs;
  for (const PartSpec& part : starts) jobs.push_back(part.token().job());
  return jobs;
}
std::vector<uint64_t> Jobs(const std::vector<AgentStop>& stops) {
  std::vector<uint64_t> jobs;
  for (const AgentStop& stop : stops) jobs.push_back(stop.token.job());
  return jobs;
}
std::vector<uint64_t> Jobs(const std::vector<AttemptToken>& tokens) {
  std::vector<uint64_t> jobs;
  for (const AttemptToken& token : tokens) jobs.push_back(token.job());
  return jobs;
}
std::vector<uint64_t> Jobs(const NodeReport& report) {
  std::vector<uint64_t> jobs;
  for (const PartReport& part : report.parts()) jobs.push_back(part.token().job());
  return jobs;
}

class AgentCoreTest : public ::testing::Test {
 protected:
  // A stream, its first report sent at `now`, and that report renewed by orders 1.
  void BeginLease(int64_t now, OrdersMaker orders = {}) {
    core_.Connected();
    const AgentActions actions = core_.Act(now);
    ASSERT_TRUE(actions.report.has_value());
    core_.OnOrders(orders.Make(1, actions.report->sequence()), now + 5);
  }
  AgentActions Obey(const Orders& orders, int64_t now) {
    core_.OnOrders(orders, now);
    return core_.Act(now);
  }
  AgentActions Tell(std::vector<PartReport> parts, int64_t now) {
    core_.OnParts(std::move(parts), now);
    return core_.Act(now);
  }

  AgentCore core_{AgentOptions{}};
};

TEST_F(AgentCoreTest, TheLeaseIsCountedFromWhenTheRenewedReportWasSent) {
  core_.Connected();
  const AgentActions first = core_.Act(1'000);
  ASSERT_TRUE(first.report.has_value());
  const AgentActions second = core_.Act(3'000);
  ASSERT_TRUE(second.report.has_value());
  // The answer to the first comes late.
  const AgentActions actions = Obey(OrdersMaker().Make(1, first.report->sequence()), 4'900);
  EXPECT_EQ(actions.deadline_ms, 1'000 + 10'000 - 500);
  EXPECT_EQ(core_.deadline_ms(), 10'500);
  EXPECT_EQ(Obey(OrdersMaker().Make(2, second.report->sequence()), 5'000).deadline_ms, 12'500);
}

TEST_F(AgentCoreTest, OrdersThatRenewAReportOfAnEarlierStreamRenewNothing) {
  core_.Connected();
  const AgentActions before = core_.Act(1'000);
  core_.Disconnected();
  core_.Connected();
  core_.Act(9'000);
  const AgentActions actions = Obey(OrdersMaker().Make(1, before.report->sequence()), 9'100);
  EXPECT_FALSE(actions.deadline_ms.has_value());
  EXPECT_EQ(core_.deadline_ms(), 0);
}

TEST_F(AgentCoreTest, OrdersThatComeUnaskedLeaveTheDeadline) {
  BeginLease(1'000);
  core_.Act(1'005);
  EXPECT_FALSE(Obey(OrdersMaker().Make(2, 1), 5'000).deadline_ms.has_value());
  EXPECT_EQ(core_.deadline_ms(), 10'500);
}

TEST_F(AgentCoreTest, NothingStartsBeforeThereIsALease) {
  core_.Connected();
  const AgentActions hello = core_.Act(1'000);
  // Orders that came by themselves, before the first report was answered.
  EXPECT_THAT(Obey(OrdersMaker().Start(Token(3)).Make(1, 0), 1'001).start, IsEmpty());
  EXPECT_THAT(
      Jobs(Obey(OrdersMaker().Start(Token(3)).Make(2, hello.report->sequence()), 1'002).start),
      ElementsAre(3));
}

TEST_F(AgentCoreTest, NothingStartsOnceTheLeaseHasPassed) {
  BeginLease(1'000);
  EXPECT_THAT(Obey(OrdersMaker().Start(Token(3)).Make(2, 1), 10'500).start, IsEmpty());
}

TEST_F(AgentCoreTest, APartIsStartedOnceAndReportedBeforeTheLauncherShowsIt) {
  BeginLease(1'000);
  core_.Act(1'005);
  const AgentActions actions = Obey(OrdersMaker().Start(Token(3)).Make(2, 1), 1'100);
  EXPECT_THAT(Jobs(actions.start), ElementsAre(3));
  ASSERT_TRUE(actions.report.has_value());
  EXPECT_THAT(Jobs(*actions.report), ElementsAre(3));
  EXPECT_EQ(actions.report->parts(0).state(), PART_STARTING);
  EXPECT_EQ(actions.report->orders(), 2u);
  // The order is repeated until the coordinator has the report; an older picture of the launcher's
  // says nothing against it.
  EXPECT_THAT(Obey(OrdersMaker().Start(Token(3)).Make(3, 1), 1'200).start, IsEmpty());
  EXPECT_THAT(Tell({}, 1'300).start, IsEmpty());
  EXPECT_THAT(Jobs(*core_.Act(3'200).report), ElementsAre(3));
}

TEST_F(AgentCoreTest, AnEndedPartIsNotStartedAgain) {
  BeginLease(1'000, OrdersMaker().Start(Token(3)));
  core_.Act(1'005);
  Tell({Part(Token(3), PART_ENDED)}, 1'100);
  EXPECT_THAT(Obey(OrdersMaker().Start(Token(3)).Make(2, 1), 1'200).start, IsEmpty());
}

TEST_F(AgentCoreTest, OrdersOutOfOrderOrTwiceChangeNothing) {
  BeginLease(1'000);
  core_.Act(1'005);
  Obey(OrdersMaker().Keep(Token(3)).Make(5, 1), 1'100);
  EXPECT_THAT(Obey(OrdersMaker().Start(Token(4)).Make(4, 1), 1'200).start, IsEmpty());
  EXPECT_THAT(Obey(OrdersMaker().Start(Token(4)).Make(5, 1), 1'200).start, IsEmpty());
  EXPECT_THAT(Obey(OrdersMaker().Start(Token(4)).Make(6, 1), 1'200).start, SizeIs(1));
}

TEST_F(AgentCoreTest, ANewStreamNumbersItsOrdersFromTheStart) {
  BeginLease(1'000);
  core_.Act(1'005);
  Obey(OrdersMaker().Make(50, 1), 1'100);
  core_.Disconnected();
  core_.Connected();
  core_.Act(1'200);
  EXPECT_THAT(Obey(OrdersMaker().Start(Token(4)).Make(1, 2), 1'300).start, SizeIs(1));
}

TEST_F(AgentCoreTest, WhatOrdersLeaveOutIsEndedOnceTheyAnswerAReportThatListsIt) {
  Tell({Part(Token(3), PART_RUNNING), Part(Token(4), PART_RUNNING)}, 900);
  core_.Connected();
  // Before the coordinator has heard what runs here, its silence means nothing.
  EXPECT_THAT(Obey(OrdersMaker().Make(1, 0), 1'000).stop, IsEmpty());
  const AgentActions actions = Obey(OrdersMaker().Keep(Token(4)).Make(2, 1), 1'100);
  ASSERT_THAT(actions.stop, SizeIs(1));
  EXPECT_EQ(actions.stop[0].token.job(), 3u);
  EXPECT_EQ(actions.stop[0].reason, FENCED);
  EXPECT_EQ(actions.stop[0].grace_ms, 0);
  EXPECT_THAT(core_.Act(1'200).stop, IsEmpty()) << "said once";
}

TEST_F(AgentCoreTest, AnEpochThatWasRaisedEndsWhatRanBefore) {
  BeginLease(1'000, OrdersMaker().Start(Token(3)));
  core_.Act(1'005);
  Tell({Part(Token(3), PART_RUNNING)}, 1'100);
  core_.Disconnected();
  core_.Connected();
  const uint64_t report = core_.Act(2'000).report->sequence();
  EXPECT_THAT(Jobs(Obey(OrdersMaker().Make(1, report, 8), 2'001).stop), ElementsAre(3));
}

TEST_F(AgentCoreTest, OrdersOfAnEarlierEpochAreNotObeyed) {
  BeginLease(1'000);
  core_.Act(1'005);
  Obey(OrdersMaker().Make(2, 1, 8), 1'100);
  core_.Disconnected();
  core_.Connected();
  const uint64_t report = core_.Act(2'000).report->sequence();
  const AgentActions actions = Obey(OrdersMaker().Start(Token(3)).Make(1, report, 7), 2'001);
  EXPECT_THAT(actions.start, IsEmpty());
  EXPECT_FALSE(actions.deadline_ms.has_value());
}

TEST_F(AgentCoreTest, OrdersOfAnEarlierEpochEndTheStreamAndTheNextOneIsObeyed) {
  BeginLease(1'000);
  const AgentActions old = Obey(OrdersMaker().Start(Token(1, 1, 6)).Make(2, 1, 6), 2'000);
  EXPECT_TRUE(old.leave);
  EXPECT_TRUE(old.superseded);
  EXPECT_FALSE(old.report.has_value());
  core_.Disconnected();
  EXPECT_FALSE(core_.Act(2'100).leave);
  core_.Connected();
  const AgentActions joined = core_.Act(2'200);
  ASSERT_TRUE(joined.report.has_value());
  const Orders orders = OrdersMaker().Start(Token(1)).Make(1, joined.report->sequence());
  const AgentActions obeyed = Obey(orders, 2'300);
  EXPECT_FALSE(obeyed.leave);
  EXPECT_THAT(Jobs(obeyed.start), ElementsAre(1u));
}

TEST_F(AgentCoreTest, WhatOutlivedTheLeaseOfAnEarlierRunEndsBeforeThereIsANewOne) {
  AgentCore next(AgentOptions{}, 7, 4'000);
  next.OnParts({Part(Token(3), PART_RUNNING)}, 5'000);
  EXPECT_THAT(Jobs(next.Act(5'000).stop), ElementsAre(3u));
  AgentCore in_time(AgentOptions{}, 7, 6'000);
  in_time.OnParts({Part(Token(3), PART_RUNNING)}, 5'000);
  EXPECT_THAT(in_time.Act(5'000).stop, IsEmpty());
}

TEST_F(AgentCoreTest, AStreamInWhichTheLeaseHasPassedIsEndedAndNothingItBringsIsStarted) {
  BeginLease(1'000);
  EXPECT_FALSE(core_.Act(1'005).leave);
  // This process stood still, and so did who is at the other end.
  core_.OnOrders(OrdersMaker().Start(Token(1)).Make(2, 1), 30'000);
  const AgentActions late = core_.Act(30'000);
  EXPECT_TRUE(late.leave);
  EXPECT_FALSE(late.superseded);
  EXPECT_THAT(late.start, IsEmpty());
  EXPECT_FALSE(late.report.has_value()) << "it would renew the lease there";
  core_.Disconnected();
  core_.Connected();
  const AgentActions joined = core_.Act(30'100);
  EXPECT_FALSE(joined.leave);
  EXPECT_TRUE(joined.report.has_value());
}

TEST_F(AgentCoreTest, AnAgentThatStartsAgainObeysNoEpochBeforeTheOneThatWasRemembered) {
  core_.Connected();
  const uint64_t report = core_.Act(1'000).report->sequence();
  const AgentActions first = Obey(OrdersMaker().Make(1, report), 1'100);
  ASSERT_EQ(first.epoch, 7u);
  EXPECT_FALSE(core_.Act(1'200).epoch.has_value());

  AgentCore next(AgentOptions{}, *first.epoch);
  next.Connected();
  const uint64_t joined = next.Act(5'000).report->sequence();
  next.OnOrders(OrdersMaker().Start(Token(1, 1, 6)).Make(1, joined, 6), 5'100);
  const AgentActions old = next.Act(5'100);
  EXPECT_THAT(old.start, IsEmpty());
  EXPECT_FALSE(old.deadline_ms.has_value());
  EXPECT_TRUE(old.leave);
}

TEST_F(AgentCoreTest, WithoutAConnectionNothingIsEndedBeforeTheDeadlineAndEverythingAtIt) {
  BeginLease(1'000, OrdersMaker().Start(Token(3)));
  core_.Act(1'005);
  Tell({Part(Token(3), PART_RUNNING), Part(Token(9, 2, 5), PART_RUNNING)}, 1'010);
  core_.Disconnected();
  EXPECT_THAT(core_.Act(10'499).stop, IsEmpty());
  EXPECT_EQ(core_.NextCall(10'499), 10'500);
  const AgentActions actions = core_.Act(10'500);
  EXPECT_THAT(Jobs(actions.stop), ElementsAre(9, 3));
  EXPECT_EQ(actions.stop[0].reason, FENCED);
  EXPECT_EQ(actions.stop[0].grace_ms, 0);
  EXPECT_THAT(core_.Act(10'600).stop, IsEmpty());
}

TEST_F(AgentCoreTest, TheDeadlineLeavesWhatAnotherSystemOwns) {
  AgentOptions options;
  options.lease_ends_parts = false;
  core_ = AgentCore(options);
  BeginLease(1'000, OrdersMaker().Start(Token(3)));
  core_.Act(1'005);
  Tell({Part(Token(3), PART_RUNNING)}, 1'010);
  core_.Disconnected();
  EXPECT_THAT(core_.Act(10'500).stop, IsEmpty());
}

TEST_F(AgentCoreTest, TheDeadlineEndsAtOnceWhatHadTimeToSave) {
  BeginLease(1'000, OrdersMaker().Start(Token(3)));
  core_.Act(1'005);
  Tell({Part(Token(3), PART_RUNNING)}, 1'010);
  Obey(OrdersMaker().Stop(Token(3), PREEMPTED, 30'000).Make(2, 1), 1'100);
  core_.Disconnected();
  EXPECT_THAT(Jobs(core_.Act(10'500).stop), ElementsAre(3));
}

TEST_F(AgentCoreTest, AStopIsSaidOnceAndAgainOnlyToHastenIt) {
  BeginLease(1'000, OrdersMaker().Start(Token(3)));
  core_.Act(1'005);
  Tell({Part(Token(3), PART_RUNNING)}, 1'010);
  AgentActions actions = Obey(OrdersMaker().Stop(Token(3), PREEMPTED, 30'000).Make(2, 1), 1'100);
  ASSERT_THAT(actions.stop, SizeIs(1));
  EXPECT_EQ(actions.stop[0].reason, PREEMPTED);
  EXPECT_EQ(actions.stop[0].grace_ms, 30'000);
  EXPECT_THAT(Obey(OrdersMaker().Stop(Token(3), PREEMPTED, 30'000).Make(3, 1), 1'200).stop,
              IsEmpty());
  actions = Obey(OrdersMaker().Stop(Token(3), CANCELLED_BY_USER, 5'000).Make(4, 1), 1'300);
  ASSERT_THAT(actions.stop, SizeIs(1));
  EXPECT_EQ(actions.stop[0].reason, CANCELLED_BY_USER);
}

TEST_F(AgentCoreTest, AStopThatComesBeforeTheStartGoesToTheLauncherAndNothingStarts) {
  BeginLease(1'000);
  core_.Act(1'005);
  const AgentActions actions =
      Obey(OrdersMaker().Stop(Token(3), CANCELLED_BY_USER, 5'000).Make(2, 1), 1'100);
  EXPECT_THAT(Jobs(actions.stop), ElementsAre(3));
  EXPECT_THAT(Obey(OrdersMaker().Start(Token(3)).Make(3, 1), 1'200).start, IsEmpty());
}

TEST_F(AgentCoreTest, AnEndedPartIsReportedUntilOrdersDropItAndThenForgotten) {
  BeginLease(1'000, OrdersMaker().Start(Token(3)));
  core_.Act(1'005);
  AgentActions actions = Tell({Part(Token(3), PART_ENDED)}, 1'100);
  ASSERT_TRUE(actions.report.has_value());
  EXPECT_EQ(actions.report->parts(0).state(), PART_ENDED);
  actions = Obey(OrdersMaker().Keep(Token(3)).Make(2, actions.report->sequence()), 1'200);
  EXPECT_THAT(actions.forget, IsEmpty());
  actions = core_.Act(3'300);
  ASSERT_TRUE(actions.report.has_value());
  EXPECT_THAT(Jobs(*actions.report), ElementsAre(3));
  actions = Obey(OrdersMaker().Make(3, actions.report->sequence()), 3'400);
  EXPECT_THAT(Jobs(actions.forget), ElementsAre(3));
  EXPECT_THAT(actions.stop, IsEmpty());
  // The launcher may still show it for a moment.
  Tell({Part(Token(3), PART_ENDED)}, 3'500);
  EXPECT_THAT(core_.Act(5'500).report->parts(), IsEmpty());
  EXPECT_THAT(Tell({}, 5'600).forget, IsEmpty());
}

TEST_F(AgentCoreTest, WhatWasFoundAtStartIsKeptUntilOrdersSpeak) {
  EXPECT_THAT(Tell({Part(Token(3), PART_RUNNING)}, 1'000).stop, IsEmpty());
  EXPECT_THAT(core_.Act(100'000).stop, IsEmpty()) << "its own deadline is in the lease page";
  core_.Connected();
  const AgentActions actions = core_.Act(100'001);
  ASSERT_TRUE(actions.report.has_value());
  EXPECT_THAT(Jobs(*actions.report), ElementsAre(3));
  EXPECT_THAT(Obey(OrdersMaker().Keep(Token(3)).Make(1, 1), 100'002).stop, IsEmpty());
}

TEST_F(AgentCoreTest, AChangeIsReportedAtOnceAndNothingIsReportedEveryTwoSeconds) {
  BeginLease(1'000);
  EXPECT_FALSE(core_.Act(1'005).report.has_value());
  EXPECT_EQ(core_.NextCall(1'005), 3'000);
  EXPECT_FALSE(core_.Act(2'999).report.has_value());
  EXPECT_TRUE(core_.Act(3'000).report.has_value());
  EXPECT_TRUE(Tell({Part(Token(3), PART_RUNNING)}, 3'001).report.has_value());
  // Steps alone wait.
  PartReport progressed = Part(Token(3), PART_RUNNING);
  progressed.mutable_progress()->set_step(12);
  EXPECT_FALSE(Tell({progressed}, 3'100).report.has_value());
  progressed.mutable_checkpoint()->set_step(10);
  EXPECT_TRUE(Tell({progressed}, 3'200).report.has_value());
  progressed.set_hung(true);
  EXPECT_TRUE(Tell({progressed}, 3'300).report.has_value());
  EXPECT_TRUE(Tell({}, 3'400).report.has_value()) << "that it is gone is a change too";
}

TEST_F(AgentCoreTest, NothingIsReportedWithoutAConnection) {
  EXPECT_FALSE(Tell({Part(Token(3), PART_RUNNING)}, 1'000).report.has_value());
  EXPECT_EQ(core_.NextCall(1'000), std::numeric_limits<int64_t>::max());
  core_.Connected();
  EXPECT_EQ(core_.NextCall(1'001), 1'001);
  EXPECT_TRUE(core_.Act(1'001).report.has_value());
}

}  // namespace
}  // namespace tanren::coordinator
