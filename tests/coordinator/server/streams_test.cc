// What watches, follows and shuts down.
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/coordinator/server/coordinator_under_test.h"
#include "tests/coordinator/server/fake_agent.h"

namespace tanren::coordinator {
namespace {

using Clock = std::chrono::steady_clock;

// Watches from a number on until `last` has come; the numbers that came.
std::vector<uint64_t> Watch(const CoordinatorUnderTest& coordinator, uint64_t first, uint64_t last,
                            uint64_t job = 0) {
  WatchRequest request;
  request.set_from_sequence(first);
  request.set_job(job);
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token());
  const auto stream = coordinator.jobs()->Watch(&context, request);
  std::vector<uint64_t> numbers;
  HistoryEvent event;
  while (stream->Read(&event)) {
    numbers.push_back(event.sequence());
    if (event.sequence() >= last) break;
  }
  context.TryCancel();
  return numbers;
}

std::vector<uint64_t> From(uint64_t first, uint64_t last) {
  std::vector<uint64_t> numbers;
  for (uint64_t number = first; number <= last; ++number) numbers.push_back(number);
  return numbers;
}

TEST(Watch, FromANumberOnNothingIsMissedAcrossARestart) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  for (int i = 0; i < 300; ++i) coordinator.Submit("before-" + std::to_string(i));
  const uint64_t seen = 100;
  EXPECT_EQ(Watch(coordinator, 1, seen), From(1, seen));
  coordinator.Stop();
  coordinator.Start();
  const uint64_t restarted = coordinator.disk().last_sequence();
  // What came meanwhile is read from the store; what comes now is told as it comes.
  std::thread submitter([&] {
    for (int i = 0; i < 100; ++i) coordinator.Submit("after-" + std::to_string(i));
  });
  EXPECT_EQ(Watch(coordinator, seen + 1, restarted + 100), From(seen + 1, restarted + 100));
  submitter.join();
}

TEST(Watch, OfOneJobTellsOfItAlone) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  coordinator.Submit("one");
  const uint64_t job = coordinator.Submit("two");
  coordinator.Submit("three");
  WatchRequest request;
  request.set_from_sequence(1);
  request.set_job(job);
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token());
  const auto stream = coordinator.jobs()->Watch(&context, request);
  HistoryEvent event;
  ASSERT_TRUE(stream->Read(&event));
  EXPECT_EQ(event.job_submitted().job().id(), job);
  JobRequest cancel;
  cancel.set_request_id("cancel");
  cancel.set_job(job);
  JobReply reply;
  grpc::ClientContext cancelling;
  Prepare(cancelling, coordinator.admin_token());
  ASSERT_TRUE(coordinator.jobs()->Cancel(&cancelling, cancel, &reply).ok());
  ASSERT_TRUE(stream->Read(&event));
  EXPECT_TRUE(event.has_cancel_requested() || event.has_job_ended()) << event.ShortDebugString();
  context.TryCancel();
}

TEST(Watch, ANumberBeyondTheHistoryIsRefused) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  WatchRequest request;
  request.set_from_sequence(1'000'000);
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token());
  const auto stream = coordinator.jobs()->Watch(&context, request);
  HistoryEvent event;
  EXPECT_FALSE(stream->Read(&event));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

// Answers one question about a log.
void AnswerLog(FakeAgent& agent, const std::string& text, uint64_t expected_offset, bool end) {
  const CoordinatorMessage message = agent.WaitForMessage();
  ASSERT_TRUE(message.has_read_log()) << message.ShortDebugString();
  EXPECT_EQ(message.read_log().offset(), expected_offset);
  AgentMessage answer;
  answer.mutable_log_chunk()->set_request(message.read_log().request());
  answer.mutable_log_chunk()->set_offset(message.read_log().offset());
  answer.mutable_log_chunk()->set_data(text);
  answer.mutable_log_chunk()->set_end(end);
  agent.Send(answer);
}

TEST(ReadLog, AFollowerGoesOnAtTheSameByteWhenTheAgentIsBack) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  auto agent = std::make_unique<FakeAgent>(coordinator.channel(), coordinator.agent_token(), "t1");
  agent->Report({});
  const uint64_t job = coordinator.Submit("logged");
  const AttemptToken token = agent->WaitForOrders(Starts).parts(0).token();
  agent->Report({PartOf(token, PART_RUNNING)});
  coordinator.WaitFor(job, RUNNING);

  LogRequest request;
  request.set_job(job);
  request.set_follow(true);
  request.set_attempt(1);
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token(), 30);
  const auto stream = coordinator.jobs()->ReadLog(&context, request);
  AnswerLog(*agent, "first\n", 0, false);
  LogReply reply;
  ASSERT_TRUE(stream->Read(&reply));
  EXPECT_EQ(reply.data(), "first\n");
  // It has asked for more, and goes away without an answer.
  EXPECT_EQ(agent->WaitForMessage().read_log().offset(), 6u);
  agent.reset();
  ASSERT_TRUE(stream->Read(&reply));
  EXPECT_NE(reply.note().find("t1"), std::string::npos);
  agent = std::make_unique<FakeAgent>(coordinator.channel(), coordinator.agent_token(), "t1");
  agent->Report({PartOf(token, PART_RUNNING)});
  AnswerLog(*agent, "second\n", 6, true);
  ASSERT_TRUE(stream->Read(&reply));
  EXPECT_EQ(reply.data(), "second\n");
  EXPECT_EQ(reply.offset(), 6u);
  EXPECT_TRUE(reply.end());
  EXPECT_FALSE(stream->Read(&reply));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(ReadLog, OneWhoDoesNotFollowGetsWhatIsThere) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  FakeAgent agent(coordinator.channel(), coordinator.agent_token(), "t1");
  agent.Report({});
  const uint64_t job = coordinator.Submit("logged");
  agent.WaitForOrders(Starts);
  LogRequest request;
  request.set_job(job);
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token());
  const auto stream = coordinator.jobs()->ReadLog(&context, request);
  AnswerLog(agent, "so far", 0, false);
  AnswerLog(agent, "", 6, false);
  LogReply reply;
  ASSERT_TRUE(stream->Read(&reply));
  EXPECT_EQ(reply.data(), "so far");
  EXPECT_FALSE(stream->Read(&reply));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(ReadLog, AFollowerOfAJobThatWaitsGetsItsLogWhenItStarts) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  const uint64_t job = coordinator.Submit("waits");
  LogRequest request;
  request.set_job(job);
  request.set_follow(true);
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token(), 30);
  const auto stream = coordinator.jobs()->ReadLog(&context, request);
  LogReply reply;
  ASSERT_TRUE(stream->Read(&reply));
  EXPECT_NE(reply.note(), "");
  FakeAgent agent(coordinator.channel(), coordinator.agent_token(), "t1");
  agent.Report({});
  const AttemptToken token = agent.WaitForOrders(Starts).parts(0).token();
  agent.Report({PartOf(token, PART_RUNNING)});
  AnswerLog(agent, "begun\n", 0, true);
  ASSERT_TRUE(stream->Read(&reply));
  EXPECT_EQ(reply.data(), "begun\n");
  agent.Report({FinishedPart(token, "t1")});
  EXPECT_FALSE(stream->Read(&reply));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(Shutdown, EndsInTimeWhateverIsOpen) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  FakeAgent agent(coordinator.channel(), coordinator.agent_token(), "t1");
  agent.Report({});
  for (int i = 0; i < 2000; ++i) coordinator.Submit("job-" + std::to_string(i));
  // One watcher that takes nothing: its stream is full of what it doesn't read.
  WatchRequest watch;
  watch.set_from_sequence(1);
  grpc::ClientContext stuck_context;
  Prepare(stuck_context, coordinator.admin_token(), 60);
  const auto stuck = coordinator.jobs()->Watch(&stuck_context, watch);
  // One that has read all there is.
  watch.set_from_sequence(0);
  grpc::ClientContext live_context;
  Prepare(live_context, coordinator.admin_token(), 60);
  const auto live = coordinator.jobs()->Watch(&live_context, watch);
  LogRequest log;
  log.set_job(2000);
  log.set_follow(true);
  grpc::ClientContext log_context;
  Prepare(log_context, coordinator.admin_token(), 60);
  const auto followed = coordinator.jobs()->ReadLog(&log_context, log);
  LogReply note;
  ASSERT_TRUE(followed->Read(&note));
  const auto begin = Clock::now();
  coordinator.Stop();
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(5));
  HistoryEvent event;
  EXPECT_FALSE(live->Read(&event));
  EXPECT_EQ(live->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(agent.WaitForEnd().error_code(), grpc::StatusCode::UNAVAILABLE);
  stuck_context.TryCancel();
  log_context.TryCancel();
}

}  // namespace
}  // namespace tanren::coordinator
