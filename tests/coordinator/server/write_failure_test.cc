// What becomes of promises when the disk fails.
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "tests/coordinator/server/coordinator_under_test.h"
#include "tests/coordinator/server/fake_agent.h"
#include "tests/patience.h"

namespace tanren::coordinator {
namespace {

StatusReply StatusOf(const CoordinatorUnderTest& coordinator) {
  StatusReply reply;
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token());
  const grpc::Status status = coordinator.jobs()->Status(&context, {}, &reply);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return reply;
}

// What grpc.health.v1 says: 1 is SERVING, 2 NOT_SERVING.
char HealthOf(const CoordinatorUnderTest& coordinator) {
  grpc::GenericStub stub(coordinator.channel());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  grpc::Slice nothing("");
  grpc::ByteBuffer request(&nothing, 1);
  grpc::ByteBuffer reply;
  std::promise<grpc::Status> ended;
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request, &reply,
                 [&](grpc::Status status) { ended.set_value(std::move(status)); });
  const grpc::Status status = ended.get_future().get();
  EXPECT_TRUE(status.ok()) << status.error_message();
  grpc::Slice bytes;
  EXPECT_TRUE(reply.DumpToSingleSlice(&bytes).ok());
  return bytes.size() == 2 ? static_cast<char>(bytes.begin()[1]) : '\0';
}

bool BecomesHealth(const CoordinatorUnderTest& coordinator, char health) {
  return Eventually([&] { return HealthOf(coordinator) == health; });
}

ServerOptions Reopening(int64_t every_ms) {
  ServerOptions options;
  options.loop.reopen_every_ms = every_ms;
  return options;
}

// A job that the agent, by two reports, has begun.
AttemptToken RunJob(CoordinatorUnderTest& coordinator, FakeAgent& agent) {
  agent.Report({});
  const uint64_t job = coordinator.Submit("runs");
  const AttemptToken token = agent.WaitForOrders(Starts).parts(0).token();
  agent.Report({PartOf(token, PART_RUNNING)});
  coordinator.WaitFor(job, RUNNING);
  return token;
}

TEST(WriteFailure, NothingIsAcknowledgedAndWhatIsDurableCanBeRead) {
  CoordinatorUnderTest coordinator;
  coordinator.Start(Reopening(60'000));
  const uint64_t job = coordinator.Submit("before");
  coordinator.disk().InjectFault(StoreFault::kNothingWritten);
  grpc::Status status;
  EXPECT_EQ(coordinator.Submit("lost", &status), 0u);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(coordinator.Submit("later", &status), 0u);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  const StatusReply shown = StatusOf(coordinator);
  EXPECT_FALSE(shown.accepting());
  EXPECT_NE(shown.problem(), "");
  EXPECT_EQ(shown.jobs_by_state().at("PENDING"), 1);
  EXPECT_EQ(coordinator.Get(job).id(), job);
  // What was refused leaves no trace.
  JobRequest request;
  request.set_job(job + 1);
  JobReply reply;
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token());
  EXPECT_EQ(coordinator.jobs()->Get(&context, request, &reply).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST(WriteFailure, TheHealthServiceSaysSo) {
  CoordinatorUnderTest coordinator;
  coordinator.Start(Reopening(500));
  EXPECT_TRUE(BecomesHealth(coordinator, 1));
  coordinator.disk().InjectFault(StoreFault::kNothingWritten);
  grpc::Status status;
  coordinator.Submit("lost", &status);
  EXPECT_TRUE(BecomesHealth(coordinator, 2));
  EXPECT_TRUE(BecomesHealth(coordinator, 1));
}

TEST(WriteFailure, AnAnswerThatWasLostIsFoundByItsRequestId) {
  CoordinatorUnderTest coordinator;
  coordinator.Start(Reopening(100));
  coordinator.disk().InjectFault(StoreFault::kAnswerLost);
  grpc::Status status;
  EXPECT_EQ(coordinator.Submit("doubtful", &status), 0u);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Eventually([&] { return coordinator.Submit("doubtful", &status) != 0; }))
      << status.error_message();
  EXPECT_EQ(StatusOf(coordinator).jobs_by_state().at("PENDING"), 1);
  EXPECT_TRUE(StatusOf(coordinator).accepting());
}

TEST(WriteFailure, AFullDiskEndsNoLeaseAndGoesOnWhenThereIsRoom) {
  CoordinatorUnderTest coordinator;
  coordinator.Start(Reopening(50));
  auto agent = std::make_unique<FakeAgent>(coordinator.channel(), coordinator.agent_token(), "t1");
  const AttemptToken token = RunJob(coordinator, *agent);
  const uint64_t job = token.job();
  coordinator.SetDiskFull(true);
  grpc::Status status;
  EXPECT_EQ(coordinator.Submit("no-room", &status), 0u);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  // It is tried again and again meanwhile. Reports are answered as if nothing had happened, and the
  // part is still named.
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  agent->Report({PartOf(token, PART_RUNNING)});
  const Orders orders =
      agent->WaitForOrders([](const Orders& later) { return later.renewed_report() == 3; });
  ASSERT_EQ(orders.parts_size(), 1);
  EXPECT_EQ(orders.parts(0).token().job(), job);
  EXPECT_EQ(orders.parts(0).stop(), STOP_REASON_UNSPECIFIED);
  EXPECT_FALSE(StatusOf(coordinator).accepting());
  coordinator.SetDiskFull(false);
  // Once there is room, agents begin anew and the job goes on.
  EXPECT_EQ(agent->WaitForEnd().error_code(), grpc::StatusCode::UNAVAILABLE);
  agent = std::make_unique<FakeAgent>(coordinator.channel(), coordinator.agent_token(), "t1");
  agent->Report({PartOf(token, PART_RUNNING)});
  agent->WaitForOrders([](const Orders& later) { return later.renewed_report() == 1; });
  EXPECT_EQ(coordinator.Get(job).state(), RUNNING);
  EXPECT_NE(coordinator.Submit("no-room", &status), 0u) << status.error_message();
}

TEST(WriteFailure, ACoordinatorThatBeginsOnAFullDiskShowsWhatThereIsUntilThereIsRoom) {
  CoordinatorUnderTest coordinator;
  coordinator.Start(Reopening(50));
  const uint64_t job = coordinator.Submit("before");
  coordinator.Stop();
  coordinator.SetDiskFull(true);
  coordinator.Start(Reopening(50));
  EXPECT_FALSE(StatusOf(coordinator).accepting()) << "nothing had to be written so far";
  EXPECT_TRUE(BecomesHealth(coordinator, 2));
  EXPECT_EQ(coordinator.Get(job).id(), job);
  grpc::Status status;
  EXPECT_EQ(coordinator.Submit("no-room", &status), 0u);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(status.error_message().find("can't be written"), std::string::npos)
      << status.error_message();
  coordinator.SetDiskFull(false);
  EXPECT_TRUE(Eventually([&] { return StatusOf(coordinator).accepting(); }));
  EXPECT_NE(coordinator.Submit("no-room", &status), 0u) << status.error_message();
}

TEST(WriteFailure, AnAgentThatConnectsAgainKeepsItsLeaseThoughTheDiskIsFull) {
  CoordinatorUnderTest coordinator;
  coordinator.Start(Reopening(50));
  auto agent = std::make_unique<FakeAgent>(coordinator.channel(), coordinator.agent_token(), "t1");
  const AttemptToken token = RunJob(coordinator, *agent);
  const uint64_t job = token.job();
  coordinator.SetDiskFull(true);
  grpc::Status status;
  EXPECT_EQ(coordinator.Submit("no-room", &status), 0u);
  agent->End();

  agent = std::make_unique<FakeAgent>(coordinator.channel(), coordinator.agent_token(), "t1");
  agent->Report({PartOf(token, PART_RUNNING)});
  const Orders orders =
      agent->WaitForOrders([](const Orders& later) { return later.renewed_report() == 1; });
  ASSERT_EQ(orders.parts_size(), 1);
  EXPECT_TRUE(orders.parts(0).token() == token);
  EXPECT_FALSE(orders.parts(0).has_start());
  EXPECT_EQ(orders.parts(0).stop(), STOP_REASON_UNSPECIFIED);
  EXPECT_GT(orders.lease_ms(), 0);
  // A stranger gets none: that would have to be written down.
  FakeAgent stranger(coordinator.channel(), coordinator.agent_token(), "t2");
  EXPECT_EQ(stranger.WaitForEnd().error_code(), grpc::StatusCode::UNAVAILABLE);
  coordinator.SetDiskFull(false);
  EXPECT_EQ(agent->WaitForEnd().error_code(), grpc::StatusCode::UNAVAILABLE);
  agent = std::make_unique<FakeAgent>(coordinator.channel(), coordinator.agent_token(), "t1");
  agent->Report({FinishedPart(token, "t1")});
  coordinator.WaitFor(job, SUCCEEDED);
  EXPECT_EQ(coordinator.Get(job).attempts(), 1u);
}

}  // namespace
}  // namespace tanren::coordinator
