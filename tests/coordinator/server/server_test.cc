#include "coordinator/server/server.h"

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "gtest/gtest.h"
#include "tests/coordinator/server/coordinator_under_test.h"
#include "tests/coordinator/server/fake_agent.h"
#include "tests/patience.h"

namespace tanren::coordinator {
namespace {

using ::testing::HasSubstr;

TEST(Server, AJobGoesFromSubmissionOverOrdersAndReportsToItsEnd) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  FakeAgent agent(coordinator.channel(), coordinator.agent_token(), "t1");
  agent.Report({});
  const uint64_t job = coordinator.Submit("first");
  ASSERT_NE(job, 0u);
  const Orders orders = agent.WaitForOrders(Starts);
  ASSERT_EQ(orders.parts_size(), 1);
  const PartOrder& part = orders.parts(0);
  EXPECT_EQ(part.token().job(), job);
  EXPECT_EQ(part.start().spec().command().argv(0), "/bin/true");
  agent.Report({PartOf(part.token(), PART_RUNNING)});
  coordinator.WaitFor(job, RUNNING);
  agent.Report({FinishedPart(part.token(), "t1")});
  coordinator.WaitFor(job, SUCCEEDED);
  // An ended part is named no more, so that the agent forgets it.
  agent.WaitForOrders([](const Orders& later) { return later.parts_size() == 0; });
}

TEST(Server, EachReportIsAnsweredByARenewal) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  FakeAgent agent(coordinator.channel(), coordinator.agent_token(), "t1");
  for (uint64_t report = 1; report <= 3; ++report) {
    agent.Report({});
    agent.WaitForOrders([&](const Orders& orders) { return orders.renewed_report() == report; });
  }
}

TEST(Server, TheSameRequestIdGivesTheSameJobAlsoAfterARestart) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  const uint64_t job = coordinator.Submit("same");
  EXPECT_EQ(coordinator.Submit("same"), job);
  EXPECT_NE(coordinator.Submit("another"), job);
  coordinator.Stop();
  coordinator.Start();
  EXPECT_EQ(coordinator.Submit("same"), job);
}

TEST(Server, ASecondStreamOfANodeEndsTheFirst) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  FakeAgent first(coordinator.channel(), coordinator.agent_token(), "t1");
  first.Report({});
  first.WaitForOrders([](const Orders&) { return true; });
  FakeAgent second(coordinator.channel(), coordinator.agent_token(), "t1");
  EXPECT_EQ(first.WaitForEnd().error_code(), grpc::StatusCode::ABORTED);
  second.Report({});
  second.WaitForOrders([](const Orders& orders) { return orders.renewed_report() == 1; });
  const uint64_t job = coordinator.Submit("after");
  EXPECT_EQ(second.WaitForOrders(Starts).parts(0).token().job(), job);
}

TEST(Server, AStreamBeginsWithAJoin) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  const auto stub = Agents::NewStub(coordinator.channel());
  grpc::ClientContext context;
  Prepare(context, coordinator.agent_token());
  const auto stream = stub->Serve(&context);
  AgentMessage report;
  report.mutable_report()->set_sequence(1);
  stream->Write(report);
  CoordinatorMessage message;
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST(Server, AFullQueueSaysSo) {
  CoordinatorUnderTest coordinator;
  ServerOptions options;
  options.loop.queue_limit = 0;
  coordinator.Start(options);
  grpc::Status status;
  coordinator.Submit("too-many", &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST(Server, ARecipesMistakesAreToldWithTheirPlaces) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  SubmitRequest request;
  request.set_request_id("recipe");
  *request.mutable_spec() = SmallJob("tune");
  request.mutable_spec()->mutable_recipe()->set_recipe("model:\n  pth: /models/small\n");
  SubmitReply reply;
  for (const bool dry_run : {false, true}) {
    request.set_dry_run(dry_run);
    grpc::ClientContext context;
    Prepare(context, coordinator.admin_token());
    const grpc::Status status = coordinator.jobs()->Submit(&context, request, &reply);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr("tune.yaml:2:"));
    EXPECT_THAT(status.error_message(), HasSubstr("path"));
  }
}

TEST(Server, ADryRunStoresNothing) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  const uint64_t before = coordinator.disk().last_sequence();
  SubmitRequest request;
  *request.mutable_spec() = SmallJob();
  request.set_dry_run(true);
  SubmitReply reply;
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token());
  const grpc::Status status = coordinator.jobs()->Submit(&context, request, &reply);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply.explanation().reason(), Explanation::NEVER_FITS);
  EXPECT_EQ(reply.jobs_size(), 0);
  EXPECT_EQ(coordinator.disk().last_sequence(), before);
}

TEST(Server, TheEnvironmentOfAJobIsShownToItsUserAndAdministratorsAlone) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  const std::string alice = coordinator.TokenFor("alice", {"submit"});
  SubmitRequest request;
  request.set_request_id("secret");
  *request.mutable_spec() = SmallJob();
  (*request.mutable_spec()->mutable_environment())["KEY"] = "s3cret";
  SubmitReply submitted;
  grpc::ClientContext context;
  Prepare(context, alice);
  const grpc::Status status = coordinator.jobs()->Submit(&context, request, &submitted);
  ASSERT_TRUE(status.ok()) << status.error_message();
  const auto shown = [&](const std::string& token) {
    JobRequest get;
    get.set_job(submitted.jobs(0));
    JobReply reply;
    grpc::ClientContext getting;
    Prepare(getting, token);
    EXPECT_TRUE(coordinator.jobs()->Get(&getting, get, &reply).ok());
    return reply.job().spec().environment().at("KEY");
  };
  EXPECT_EQ(shown(alice), "s3cret");
  EXPECT_EQ(shown(coordinator.admin_token()), "s3cret");
  EXPECT_EQ(shown(coordinator.TokenFor("bob", {"view"})), "(hidden)");
}

TEST(Server, JobsAreListedInPagesThatMissNone) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  SubmitRequest request;
  request.set_request_id("array");
  *request.mutable_spec() = SmallJob();
  request.mutable_spec()->set_array_size(6000);
  SubmitReply submitted;
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token());
  const grpc::Status status = coordinator.jobs()->Submit(&context, request, &submitted);
  ASSERT_TRUE(status.ok()) << status.error_message();
  for (const bool newest_first : {false, true}) {
    std::vector<uint64_t> listed;
    bool more = true;
    while (more) {
      ListJobsRequest list;
      list.set_limit(2500);
      list.set_newest_first(newest_first);
      list.set_after(listed.empty() ? 0 : listed.back());
      ListJobsReply reply;
      grpc::ClientContext listing;
      Prepare(listing, coordinator.admin_token());
      ASSERT_TRUE(coordinator.jobs()->List(&listing, list, &reply).ok());
      ASSERT_LE(reply.jobs_size(), 2500);
      for (const Job& job : reply.jobs()) listed.push_back(job.id());
      more = reply.more();
      ASSERT_TRUE(!more || reply.jobs_size() > 0);
    }
    std::vector<uint64_t> expected(submitted.jobs().begin(), submitted.jobs().end());
    if (newest_first) std::reverse(expected.begin(), expected.end());
    EXPECT_EQ(listed, expected);
  }
}

TEST(Server, WhatIsForgottenIsToldFromWhatNeverWas) {
  CoordinatorUnderTest coordinator;
  ServerOptions options;
  options.loop.core.allow_commands = true;
  options.loop.core.keep_ended_jobs = 1;
  coordinator.Start(std::move(options));
  const auto jobs = coordinator.jobs();
  uint64_t first = 0;
  for (const char* name : {"a", "b"}) {
    JobRequest cancel;
    cancel.set_job(coordinator.Submit(name));
    cancel.set_request_id(std::string("cancel-") + name);
    if (first == 0) first = cancel.job();
    grpc::ClientContext context;
    Prepare(context, coordinator.admin_token());
    JobReply reply;
    ASSERT_TRUE(jobs->Cancel(&context, cancel, &reply).ok());
  }
  const uint64_t last = coordinator.Submit("c");
  const auto get = [&](uint64_t job) {
    grpc::ClientContext context;
    Prepare(context, coordinator.admin_token());
    JobRequest request;
    request.set_job(job);
    JobReply reply;
    return jobs->Get(&context, request, &reply);
  };
  Eventually([&] { return !get(first).ok(); });
  EXPECT_EQ(get(first).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(get(first).error_message(), HasSubstr("it has ended and was forgotten"));
  EXPECT_THAT(
      get(last + 1).error_message(),
      HasSubstr("there is no job " + std::to_string(last + 1) + ": no job has that number"));

  grpc::ClientContext list_context, status_context;
  Prepare(list_context, coordinator.admin_token());
  ListJobsReply list;
  ASSERT_TRUE(jobs->List(&list_context, {}, &list).ok());
  EXPECT_EQ(list.jobs_size(), 2);
  EXPECT_EQ(list.forgotten_after_ms(), CoreOptions().keep_ended_ms);
  Prepare(status_context, coordinator.admin_token());
  StatusReply status;
  ASSERT_TRUE(jobs->Status(&status_context, {}, &status).ok());
  EXPECT_EQ(status.keep_ended_jobs(), 1);
}

TEST(Server, RemoteDaemonsAreStartedBetweenNodesOfOneGangAlone) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  FakeAgent one(coordinator.channel(), coordinator.agent_token(), "t1");
  FakeAgent other(coordinator.channel(), coordinator.agent_token(), "t2");
  FakeAgent stranger(coordinator.channel(), coordinator.agent_token(), "t3");
  SubmitRequest request;
  request.set_request_id("gang");
  *request.mutable_spec() = SmallJob();
  request.mutable_spec()->mutable_roles(0)->set_ranks(2);
  request.mutable_spec()->mutable_roles(0)->set_max_ranks_per_node(1);
  request.mutable_spec()->add_excluded_nodes("t3");
  one.Report({});
  other.Report({});
  stranger.Report({});
  for (FakeAgent* agent : {&one, &other, &stranger}) {
    agent->WaitForOrders([](const Orders& orders) { return orders.renewed_report() == 1; });
  }
  SubmitReply submitted;
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token());
  ASSERT_TRUE(coordinator.jobs()->Submit(&context, request, &submitted).ok());
  const AttemptToken token = one.WaitForOrders(Starts).parts(0).token();
  other.WaitForOrders(Starts);
  AgentMessage ask;
  ask.mutable_remote_start()->set_request(7);
  *ask.mutable_remote_start()->mutable_token() = token;
  ask.mutable_remote_start()->set_from("t1");
  ask.mutable_remote_start()->set_to("t2");
  ask.mutable_remote_start()->add_argv("orted");
  one.Send(ask);
  EXPECT_EQ(other.WaitForMessage().remote_start().argv(0), "orted");
  AgentMessage ended;
  ended.mutable_remote_end()->set_request(7);
  ended.mutable_remote_end()->set_to("t1");
  ended.mutable_remote_end()->set_exit_code(3);
  // One that shares no job with t1 may not speak for it.
  stranger.Send(ended);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_FALSE(one.HasMessage());
  other.Send(ended);
  EXPECT_EQ(one.WaitForMessage().remote_end().exit_code(), 3);
  // A daemon's end may come behind that of its part.
  other.Report({FinishedPart(token, "t2")});
  other.WaitForOrders([](const Orders& orders) { return orders.renewed_report() == 2; });
  other.Send(ended);
  EXPECT_EQ(one.WaitForMessage().remote_end().exit_code(), 3);
  // The gang isn't on t3; and t3 isn't t1.
  ask.mutable_remote_start()->set_to("t3");
  one.Send(ask);
  EXPECT_EQ(one.WaitForMessage().remote_end().exit_code(), 255);
  ask.mutable_remote_start()->set_to("t2");
  stranger.Send(ask);
  EXPECT_EQ(stranger.WaitForMessage().remote_end().exit_code(), 255);
  EXPECT_FALSE(other.HasMessage());
}

TEST(Server, TwoServersDoNotShareAPort) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  ServerOptions options;
  options.listen = coordinator.address();
  const auto second = Server::Start(options, []() -> absl::StatusOr<std::unique_ptr<Store>> {
    return std::make_unique<MemoryStore>();
  });
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(coordinator.address()));
}

TEST(Server, AnotherMachinesAddressIsRefusedWithoutTls) {
  ServerOptions options;
  options.listen = "0.0.0.0:0";
  const auto server = Server::Start(options, []() -> absl::StatusOr<std::unique_ptr<Store>> {
    return std::make_unique<MemoryStore>();
  });
  EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tanren::coordinator
