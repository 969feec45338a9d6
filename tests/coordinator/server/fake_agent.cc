#include "tests/coordinator/server/fake_agent.h"

#include <chrono>

#include "gtest/gtest.h"
#include "tests/patience.h"

namespace tanren::coordinator {

FakeAgent::FakeAgent(const std::shared_ptr<grpc::Channel>& channel, const std::string& token,
                     const std::string& node, const std::string& key)
    : stub_(Agents::NewStub(channel)) {
  context_.AddMetadata("authorization", "Bearer " + token);
  stream_ = stub_->Serve(&context_);
  AgentMessage join;
  join.mutable_join()->set_name(node);
  join.mutable_join()->set_address("127.0.0.1");
  join.mutable_join()->set_cpu_millis(8000);
  join.mutable_join()->set_memory_bytes(int64_t{8} << 30);
  join.mutable_join()->set_launcher("local");
  join.mutable_join()->set_incarnation("first-" + node);
  join.set_node_key(key);
  stream_->Write(join);
  reader_ = std::thread([this] { Read(); });
}

FakeAgent::~FakeAgent() { End(); }

void FakeAgent::Read() {
  CoordinatorMessage message;
  while (stream_->Read(&message)) {
    const std::lock_guard lock(mutex_);
    if (message.has_orders()) {
      acted_on_ = message.orders().sequence();
      orders_.push_back(message.orders());
    } else {
      messages_.push_back(message);
    }
    changed_.notify_all();
  }
  const grpc::Status status = stream_->Finish();
  const std::lock_guard lock(mutex_);
  status_ = status;
  over_ = true;
  changed_.notify_all();
}

void FakeAgent::Send(const AgentMessage& message) { stream_->Write(message); }

void FakeAgent::Report(const std::vector<PartReport>& parts) {
  AgentMessage message;
  message.mutable_report()->set_sequence(++reports_);
  {
    const std::lock_guard lock(mutex_);
    message.mutable_report()->set_orders(acted_on_);
  }
  for (const PartReport& part : parts) *message.mutable_report()->add_parts() = part;
  Send(message);
}

Orders FakeAgent::WaitForOrders(const std::function<bool(const Orders&)>& fits) {
  std::unique_lock lock(mutex_);
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    while (!orders_.empty()) {
      const Orders orders = orders_.front();
      orders_.pop_front();
      if (fits(orders)) return orders;
    }
    if (over_ || changed_.wait_until(lock, until) == std::cv_status::timeout) {
      ADD_FAILURE() << "no such orders came; the stream is " << (over_ ? "over: " : "open")
                    << status_.error_message();
      return {};
    }
  }
}

CoordinatorMessage FakeAgent::WaitForMessage() {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, kPatience, [this] { return over_ || !messages_.empty(); }) ||
      messages_.empty()) {
    ADD_FAILURE() << "no message came";
    return {};
  }
  CoordinatorMessage message = messages_.front();
  messages_.pop_front();
  return message;
}

bool FakeAgent::HasMessage() {
  const std::lock_guard lock(mutex_);
  return !messages_.empty();
}

grpc::Status FakeAgent::WaitForEnd() {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_for(lock, kPatience, [this] { return over_; }));
  return status_;
}

grpc::Status FakeAgent::End() {
  if (!reader_.joinable()) return status_;
  context_.TryCancel();
  reader_.join();
  return status_;
}

bool Starts(const Orders& orders) { return orders.parts_size() > 0 && orders.parts(0).has_start(); }

PartReport PartOf(const AttemptToken& token, PartState state) {
  PartReport part;
  *part.mutable_token() = token;
  part.set_state(state);
  return part;
}

PartReport FinishedPart(const AttemptToken& token, const std::string& node) {
  PartReport part = PartOf(token, PART_ENDED);
  part.mutable_end()->set_kind(AttemptEnd::FINISHED);
  part.mutable_end()->set_node(node);
  part.mutable_end()->set_rank(-1);
  return part;
}

}  // namespace tanren::coordinator
