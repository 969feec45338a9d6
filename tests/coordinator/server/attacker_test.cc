// What strangers, and people with a token who mean ill, can't do.
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "tests/coordinator/server/coordinator_under_test.h"
#include "tests/coordinator/server/fake_agent.h"
#include "tests/patience.h"

namespace tanren::coordinator {
namespace {

using ::testing::HasSubstr;

// How a call with these bytes ends; without a token if that is "".
grpc::Status CallRaw(const CoordinatorUnderTest& coordinator, const std::string& method,
                     const std::string& token, const std::string& bytes) {
  grpc::GenericStub stub(coordinator.channel());
  grpc::ClientContext context;
  if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  grpc::Slice slice(bytes);
  grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer reply;
  std::promise<grpc::Status> ended;
  stub.UnaryCall(&context, method, grpc::StubOptions(), &request, &reply,
                 [&](const grpc::Status& status) { ended.set_value(status); });
  return ended.get_future().get();
}

void Revoke(CoordinatorUnderTest& coordinator, const std::string& token) {
  RevokeTokenRequest request;
  request.set_request_id("revoke-" + token.substr(4, 12));
  request.set_id(token.substr(4, token.find('_', 4) - 4));
  RevokeTokenReply reply;
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token());
  const grpc::Status revoked = coordinator.admin()->RevokeToken(&context, request, &reply);
  ASSERT_TRUE(revoked.ok()) << revoked.error_message();
}

TEST(Attacker, AStrangersBytesAreNotReadAndFillNoAudit) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  const std::string nonsense(8 << 20, '\xff');
  const std::string method = "/tanren.coordinator.Jobs/Submit";
  EXPECT_NE(CallRaw(coordinator, method, coordinator.admin_token(), nonsense).error_code(),
            grpc::StatusCode::UNAUTHENTICATED)
      << "that which is read isn't a message";
  for (const std::string& token : {std::string(), "tnr_000000000000_" + std::string(64, '0')}) {
    EXPECT_EQ(CallRaw(coordinator, method, token, nonsense).error_code(),
              grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(CallRaw(coordinator, "/tanren.coordinator.Jobs/NoSuchMethod", token, "").error_code(),
              grpc::StatusCode::UNAUTHENTICATED)
        << "which methods there are is nobody's business";
  }
  EXPECT_TRUE(coordinator.Audited("Jobs.Submit").empty());
}

TEST(Attacker, TheHealthServiceAnswersWithoutAToken) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  EXPECT_TRUE(CallRaw(coordinator, "/grpc.health.v1.Health/Check", "", "").ok());
}

TEST(Attacker, StreamsEndWithTheirToken) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  const std::string viewer = coordinator.TokenFor("viewer", {"view"});
  const std::string machine = coordinator.TokenFor("machine", {"agent"});
  grpc::ClientContext context;
  Prepare(context, viewer, 60);
  const auto watch = coordinator.jobs()->Watch(&context, WatchRequest());
  grpc::ClientContext other_context;
  Prepare(other_context, coordinator.admin_token(), 60);
  const auto other = coordinator.jobs()->Watch(&other_context, WatchRequest());
  FakeAgent agent(coordinator.channel(), machine, "t1");
  agent.Report({});
  agent.WaitForOrders([](const Orders& orders) { return orders.renewed_report() == 1; });
  Revoke(coordinator, viewer);
  Revoke(coordinator, machine);
  HistoryEvent event;
  while (watch->Read(&event)) {
  }
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(agent.WaitForEnd().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  // Another's goes on.
  coordinator.Submit("seen");
  ASSERT_TRUE(other->Read(&event));
  other_context.TryCancel();
}

TEST(Attacker, WhoOpensManyStreamsKeepsNeitherOthersNorAgentsOut) {
  CoordinatorUnderTest coordinator;
  ServerOptions options;
  options.stream_limit = 8;
  coordinator.Start(options);
  const std::string greedy = coordinator.TokenFor("greedy", {"view"});
  const std::string modest = coordinator.TokenFor("modest", {"view"});
  struct Watcher {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<HistoryEvent>> stream;
  };
  std::vector<std::unique_ptr<Watcher>> watchers;
  const auto open = [&](const std::string& token) -> Watcher& {
    Watcher& watcher = *watchers.emplace_back(std::make_unique<Watcher>());
    Prepare(watcher.context, token, 60);
    WatchRequest request;
    request.set_from_sequence(1);
    watcher.stream = coordinator.jobs()->Watch(&watcher.context, request);
    return watcher;
  };
  HistoryEvent event;
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(open(greedy).stream->Read(&event)) << i;
  for (int i = 0; i < 20; ++i) {
    Watcher& refused = open(greedy);
    if (refused.stream->Read(&event)) {
      ADD_FAILURE() << "a further stream was let in";
      refused.context.TryCancel();
    }
    const grpc::Status status = refused.stream->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_THAT(status.error_message(), HasSubstr("greedy"));
  }
  EXPECT_TRUE(open(modest).stream->Read(&event));
  std::vector<std::unique_ptr<FakeAgent>> agents;
  for (int i = 0; i < 8; ++i) {
    agents.push_back(std::make_unique<FakeAgent>(coordinator.channel(), coordinator.agent_token(),
                                                 "t" + std::to_string(i)));
    agents.back()->Report({});
    agents.back()->WaitForOrders([](const Orders& orders) { return orders.renewed_report() > 0; });
  }
  // One that has ended makes room.
  watchers[0]->context.TryCancel();
  while (watchers[0]->stream->Read(&event)) {
  }
  watchers[0]->stream->Finish();
  EXPECT_TRUE(Eventually([&] { return open(greedy).stream->Read(&event); }));
  for (const auto& watcher : watchers) watcher->context.TryCancel();
}

TEST(Attacker, ASpecsSizesAndCountsAreToldFromWhatTheyMayBe) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  const uint64_t before = coordinator.disk().last_sequence();
  const auto refused = [&](const JobSpec& spec) {
    SubmitRequest request;
    request.set_request_id("large");
    *request.mutable_spec() = spec;
    SubmitReply reply;
    grpc::ClientContext context;
    Prepare(context, coordinator.admin_token(), 60);
    const grpc::Status status = coordinator.jobs()->Submit(&context, request, &reply);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    return status.error_message();
  };
  JobSpec spec = SmallJob();
  for (int i = 0; i < 300'000; ++i) (*spec.mutable_environment())["E" + std::to_string(i)] = "";
  EXPECT_THAT(refused(spec), HasSubstr("spec: "));
  spec = SmallJob();
  for (int i = 0; i < 5'000; ++i) (*spec.mutable_environment())["E" + std::to_string(i)] = "";
  EXPECT_THAT(refused(spec), HasSubstr("environment"));
  spec = SmallJob();
  for (int i = 0; i < 1'000; ++i) (*spec.mutable_node_labels())["l" + std::to_string(i)] = "v";
  EXPECT_THAT(refused(spec), HasSubstr("node_labels"));
  spec = SmallJob();
  for (int i = 0; i < 20'000; ++i) spec.add_excluded_nodes("n");
  EXPECT_THAT(refused(spec), HasSubstr("excluded_nodes"));
  spec = SmallJob();
  for (int i = 0; i < 100; ++i) spec.add_roles()->set_name("r" + std::to_string(i));
  EXPECT_THAT(refused(spec), HasSubstr("roles"));
  spec = SmallJob();
  for (int i = 0; i < 50'000; ++i) spec.mutable_command()->add_argv("a");
  EXPECT_THAT(refused(spec), HasSubstr("command"));
  spec = SmallJob();
  spec.set_array_size(1'000'000);
  EXPECT_THAT(refused(spec), HasSubstr("array_size"));
  EXPECT_EQ(coordinator.disk().last_sequence(), before);
}

TEST(Attacker, AnAgentsNodeIsOfBoundedSize) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  const auto join = [&](const std::function<void(Node&)>& spoil) {
    grpc::ClientContext context;
    Prepare(context, coordinator.agent_token());
    const auto stub = Agents::NewStub(coordinator.channel());
    const auto stream = stub->Serve(&context);
    AgentMessage message;
    message.mutable_join()->set_name("t1");
    spoil(*message.mutable_join());
    stream->Write(message);
    CoordinatorMessage answer;
    EXPECT_FALSE(stream->Read(&answer));
    return stream->Finish().error_code();
  };
  const std::string longer(1000, 'x');
  EXPECT_EQ(join([&](Node& node) { node.set_rack(longer); }), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(join([&](Node& node) { node.set_version(longer); }),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(join([&](Node& node) { node.set_incarnation(longer); }),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(join([&](Node& node) { node.set_launcher("ssh"); }),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(join([&](Node& node) { node.add_gpus()->set_name(longer); }),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(join([&](Node& node) {
              for (int i = 0; i < 500; ++i) (*node.mutable_labels())["l" + std::to_string(i)] = "";
            }),
            grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tanren::coordinator
