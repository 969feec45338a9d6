#include "coordinator/agent/connection.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "coordinator/agent/outbox.h"
#include "coordinator/launch/part_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "tests/coordinator/client/fake_coordinator.h"
#include "tests/patience.h"

namespace tanren::coordinator {
namespace {

using ::testing::HasSubstr;

// Answers each report with orders that renew it.
class FakeAgents final : public Agents::Service {
 public:
  using Stream = grpc::ServerReaderWriter<CoordinatorMessage, AgentMessage>;

  grpc::Status Hello(grpc::ServerContext* call, const HelloRequest* request,
                     HelloReply* reply) override {
    const std::lock_guard lock(mutex_);
    const auto token = call->client_metadata().find("authorization");
    if (token != call->client_metadata().end()) {
      tokens.emplace_back(token->second.data(), token->second.size());
    }
    if (refusals > 0) {
      --refusals;
      return {grpc::StatusCode::UNAUTHENTICATED, "no such token"};
    }
    reply->set_protocol(1);
    reply->set_epoch(7);
    return grpc::Status::OK;
  }
  grpc::Status Serve(grpc::ServerContext* call, Stream* stream) override {
    AgentMessage message;
    while (stream->Read(&message)) {
      const std::lock_guard lock(mutex_);
      if (message.has_join()) joins.push_back(message.join().name());
      if (message.has_join()) keys.push_back(message.node_key());
      if (!message.has_report() || mute) continue;
      CoordinatorMessage answer;
      answer.mutable_orders()->set_renewed_report(message.report().sequence());
      stream->Write(answer);
      if (answers_before_end > 0 && --answers_before_end == 0) return grpc::Status::OK;
    }
    return grpc::Status::OK;
  }

  std::vector<std::string> Joins() {
    const std::lock_guard lock(mutex_);
    return joins;
  }
  void EndStreamsAfter(int answers) {
    const std::lock_guard lock(mutex_);
    answers_before_end = answers;
  }
  void Refuse(int calls) {
    const std::lock_guard lock(mutex_);
    refusals = calls;
  }
  void FallSilent() {
    const std::lock_guard lock(mutex_);
    mute = true;
  }

  std::mutex mutex_;
  std::vector<std::string> joins;
  std::vector<std::string> keys;    // of the joins
  std::vector<std::string> tokens;  // that calls of Hello carried
  int refusals = 0;
  int answers_before_end = 0;  // of a stream; 0: it isn't ended
  bool mute = false;
};

class ConnectionTest : public ::testing::Test {
 protected:
  // Its channel.
  Channel Connect(ConnectionOptions options = {}) {
    Node node;
    node.set_name("t1");
    Channel channel = ValueOrThrow(Channel::Open(folder_.EndpointAt(coordinator_->address())));
    connection_.emplace(
        channel, node, [this] { wake_(); }, options);
    return channel;
  }

  // Runs the connection until an event satisfies `wanted`; false after kPatience.
  bool RunUntil(const std::function<bool(const ConnectionEvent&)>& wanted) {
    const int64_t end = SteadyMs() + std::chrono::milliseconds(kPatience).count();
    while (SteadyMs() < end) {
      connection_->Act(SteadyMs());
      for (ConnectionEvent& event : connection_->Take()) {
        if (std::holds_alternative<StreamOpened>(event)) Report();
        if (wanted(event)) return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  void Report() {
    AgentMessage message;
    message.mutable_report()->set_sequence(++reports_);
    connection_->Send(std::move(message));
  }

  static bool IsOrders(const ConnectionEvent& event) {
    const auto* message = std::get_if<CoordinatorMessage>(&event);
    return message != nullptr && message->has_orders();
  }
  static bool IsClosed(const ConnectionEvent& event) {
    return std::holds_alternative<StreamClosed>(event);
  }

  TestFolder folder_;
  FakeAgents agents_;
  Wake wake_;
  std::optional<FakeCoordinator> coordinator_{std::in_place, agents_};
  std::optional<Connection> connection_;
  uint64_t reports_ = 0;
};

TEST_F(ConnectionTest, JoinsFirstThenReports) {
  Connect();
  EXPECT_TRUE(RunUntil(IsOrders));
  EXPECT_THAT(agents_.Joins(), ::testing::ElementsAre("t1"));
}

TEST_F(ConnectionTest, JoinsAgainAtEachStream) {
  agents_.EndStreamsAfter(1);
  Connect();
  ASSERT_TRUE(RunUntil(IsClosed));
  ASSERT_TRUE(RunUntil(IsOrders));
  EXPECT_THAT(agents_.Joins(), ::testing::ElementsAre("t1", "t1"));
}

TEST_F(ConnectionTest, LeavesAStreamAndBeginsAnotherAfterTheLongestWait) {
  ConnectionOptions options;
  options.first_wait_ms = 1;
  options.longest_wait_ms = 400;
  Connect(options);
  ASSERT_TRUE(RunUntil(IsOrders));
  const int64_t before = SteadyMs();
  connection_->Leave();
  ASSERT_TRUE(RunUntil(IsClosed));
  EXPECT_GE(connection_->NextCall(), before + options.longest_wait_ms / 2);
  ASSERT_TRUE(RunUntil(IsOrders));
  EXPECT_THAT(agents_.Joins(), ::testing::ElementsAre("t1", "t1"));
}

TEST_F(ConnectionTest, ShowsItsKeyAtEachJoin) {
  agents_.EndStreamsAfter(1);
  ConnectionOptions options;
  options.node_key = std::string(64, 'k');
  Connect(options);
  ASSERT_TRUE(RunUntil(IsClosed));
  ASSERT_TRUE(RunUntil(IsOrders));
  const std::lock_guard lock(agents_.mutex_);
  EXPECT_THAT(agents_.keys, ::testing::ElementsAre(options.node_key, options.node_key));
}

TEST_F(ConnectionTest, ShowsATokenThatWasRenewedOnceItConnectsAnew) {
  agents_.EndStreamsAfter(1);
  Connect();
  const std::filesystem::path file = folder_.EndpointAt("").token_file;
  // One that doesn't serve leaves the old one.
  ThrowIfError(WriteFileAtomically(file, "open to all", 0644));
  ASSERT_TRUE(RunUntil(IsClosed));
  ThrowIfError(WriteFileAtomically(file, "tnr_test_renewed", 0600));
  ASSERT_TRUE(RunUntil(IsOrders));
  const std::lock_guard lock(agents_.mutex_);
  EXPECT_THAT(agents_.tokens,
              ::testing::ElementsAre("Bearer tnr_test_secret", "Bearer tnr_test_renewed"));
}

TEST_F(ConnectionTest, FindsACoordinatorThatRestartedWithinTwoSeconds) {
  Connect();
  ASSERT_TRUE(RunUntil(IsOrders));
  const std::string address = coordinator_->address();
  coordinator_.reset();
  ASSERT_TRUE(RunUntil(IsClosed));
  const int64_t away = SteadyMs() + 1'500;
  RunUntil([&](const ConnectionEvent&) { return SteadyMs() > away; });
  const int64_t back = SteadyMs();
  coordinator_.emplace(agents_, address);
  ASSERT_TRUE(RunUntil(IsOrders));
  EXPECT_LT(SteadyMs() - back, 3'000);
}

TEST_F(ConnectionTest, GivesUpAStreamThatIsSilent) {
  agents_.FallSilent();
  ConnectionOptions options;
  options.silence_ms = 300;
  Connect(options);
  const int64_t start = SteadyMs();
  ASSERT_TRUE(RunUntil(IsClosed));
  EXPECT_GE(SteadyMs() - start, 300);
}

TEST_F(ConnectionTest, SaysWhyItIsRefusedAndTriesOn) {
  agents_.Refuse(2);
  Connect();
  std::string why;
  ASSERT_TRUE(RunUntil([&](const ConnectionEvent& event) {
    if (IsClosed(event)) why = std::string(std::get<StreamClosed>(event).status.message());
    return IsOrders(event);
  }));
  EXPECT_THAT(why, HasSubstr("no such token"));
}

TEST_F(ConnectionTest, EndsWhateverItIsDoing) {
  for (int i = 0; i < 20; ++i) {
    const Channel channel = Connect();
    const int64_t end = SteadyMs() + i;
    while (SteadyMs() < end) {
      connection_->Act(SteadyMs());
      for (ConnectionEvent& event : connection_->Take()) {
        if (std::holds_alternative<StreamOpened>(event)) Report();
      }
    }
    connection_.reset();
    // Calls hold their channel. gRPC's own threads must not be the last to: "assertion failed:
    // prior > 0", or a double free.
    EXPECT_EQ(channel.grpc().use_count(), 1);
  }
}

}  // namespace
}  // namespace tanren::coordinator
