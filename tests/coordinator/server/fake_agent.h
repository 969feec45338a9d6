// An agent's stream in the hands of a test: says what the test tells it, keeps what it hears.
#ifndef TANREN_TESTS_COORDINATOR_SERVER_FAKE_AGENT_H_
#define TANREN_TESTS_COORDINATOR_SERVER_FAKE_AGENT_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "grpcpp/channel.h"
#include "proto/coordinator.grpc.pb.h"

namespace tanren::coordinator {

class FakeAgent {
 public:
  // Joins as a node of eight cores; with a key, if there is one.
  FakeAgent(const std::shared_ptr<grpc::Channel>& channel, const std::string& token,
            const std::string& node, const std::string& key = "");
  ~FakeAgent();

  // Everything that it holds now.
  void Report(const std::vector<PartReport>& parts);
  void Send(const AgentMessage& message);

  // The next orders that fit, at most 10 s from now; fails the test otherwise.
  Orders WaitForOrders(const std::function<bool(const Orders&)>& fits);
  // The next other message.
  CoordinatorMessage WaitForMessage();
  bool HasMessage();

  // Ends the stream, and says how it ended. The coordinator may have done so before.
  grpc::Status End();
  // Waits until the coordinator has ended it.
  grpc::Status WaitForEnd();

 private:
  void Read();

  grpc::ClientContext context_;
  std::unique_ptr<Agents::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<AgentMessage, CoordinatorMessage>> stream_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Orders> orders_;
  std::deque<CoordinatorMessage> messages_;
  bool over_ = false;
  uint64_t reports_ = 0;
  uint64_t acted_on_ = 0;  // the last Orders.sequence
  grpc::Status status_;
  std::thread reader_;
};

// Whether the first part of the orders is to begin.
bool Starts(const Orders& orders);

PartReport PartOf(const AttemptToken& token, PartState state);
// With exit code 0.
PartReport FinishedPart(const AttemptToken& token, const std::string& node);

}  // namespace tanren::coordinator

#endif  // TANREN_TESTS_COORDINATOR_SERVER_FAKE_AGENT_H_
