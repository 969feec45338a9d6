#include "benchmarks/coordinator/streaming_peers.h"

#include <chrono>
#include <deque>
#include <utility>

#include "proto/coordinator.grpc.pb.h"

namespace tanren::coordinator {

// Until it is destroyed its stream is held open; both sides of it may be used from any thread.
class StreamingPeers::Agent final
    : public grpc::ClientBidiReactor<AgentMessage, CoordinatorMessage> {
 public:
  Agent(StreamingPeers& peers, const Channel& channel, const std::string& node)
      : peers_(peers), stub_(Agents::NewStub(channel.grpc())) {
    channel.Prepare(context_, 24 * 3600);
    AgentMessage join;
    join.mutable_join()->set_name(node);
    join.mutable_join()->set_address("127.0.0.1");
    join.mutable_join()->set_cpu_millis(8000);
    join.mutable_join()->set_memory_bytes(int64_t{8} << 30);
    join.mutable_join()->set_launcher("local");
    join.mutable_join()->set_incarnation("load");
    outbox_.push_back(join);
    ++peers_.agents_open_;
    stub_->async()->Serve(&context_, this);
    AddHold();
    StartRead(&incoming_);
    StartCall();
    Write();
  }

  ~Agent() override {
    context_.TryCancel();
    RemoveHold();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return done_; });
  }

  // Once a second: answers to those that wait, and every other time a report.
  void Beat(bool report) {
    {
      const std::lock_guard lock(mutex_);
      for (const ReadLogChunk& question : std::exchange(questions_, {})) Answer(question);
      if (report) Report();
    }
    Write();
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;
    bool report = false;
    {
      const std::lock_guard lock(mutex_);
      if (incoming_.has_orders()) {
        ++peers_.orders_;
        report = Take(incoming_.orders());
      }
      if (incoming_.has_read_log()) questions_.push_back(incoming_.read_log());
    }
    StartRead(&incoming_);
    if (report) Beat(true);
  }

  // Whether there is something new.
  bool Take(const Orders& orders) {
    acted_on_ = orders.sequence();
    bool changed = static_cast<size_t>(orders.parts_size()) != parts_.size();
    std::vector<PartReport> parts;
    for (const PartOrder& order : orders.parts()) {
      PartReport& part = parts.emplace_back();
      *part.mutable_token() = order.token();
      part.set_state(PART_RUNNING);
      changed = changed || order.has_start();
    }
    parts_ = std::move(parts);
    return changed;
  }

  void Report() {
    AgentMessage& message = outbox_.emplace_back();
    message.mutable_report()->set_sequence(++reports_);
    message.mutable_report()->set_orders(acted_on_);
    for (const PartReport& part : parts_) *message.mutable_report()->add_parts() = part;
  }

  void Answer(const ReadLogChunk& question) {
    AgentMessage& message = outbox_.emplace_back();
    message.mutable_log_chunk()->set_request(question.request());
    message.mutable_log_chunk()->set_offset(question.offset());
    message.mutable_log_chunk()->set_data(std::string(99, 'l') + "\n");
  }

  void Write() {
    {
      const std::lock_guard lock(mutex_);
      if (writing_ || over_ || outbox_.empty()) return;
      writing_ = true;
      message_ = std::move(outbox_.front());
      outbox_.pop_front();
    }
    StartWrite(&message_);
  }

  void OnWriteDone(bool ok) override {
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
      over_ = over_ || !ok;
    }
    Write();
  }

  void OnDone(const grpc::Status&) override {
    --peers_.agents_open_;
    const std::lock_guard lock(mutex_);
    done_ = true;
    changed_.notify_all();
  }

  StreamingPeers& peers_;
  std::unique_ptr<Agents::Stub> stub_;
  grpc::ClientContext context_;
  CoordinatorMessage incoming_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<AgentMessage> outbox_;
  AgentMessage message_;
  std::vector<PartReport> parts_;
  std::vector<ReadLogChunk> questions_;
  uint64_t acted_on_ = 0;
  uint64_t reports_ = 0;
  bool writing_ = false;
  bool over_ = false;
  bool done_ = false;
};

class StreamingPeers::Follower final : public grpc::ClientReadReactor<LogReply> {
 public:
  Follower(StreamingPeers& peers, const Channel& channel, uint64_t job)
      : peers_(peers), stub_(Jobs::NewStub(channel.grpc())) {
    channel.Prepare(context_, 24 * 3600);
    request_.set_job(job);
    request_.set_follow(true);
    ++peers_.followers_open_;
    stub_->async()->ReadLog(&context_, &request_, this);
    StartRead(&reply_);
    StartCall();
  }

  ~Follower() override {
    context_.TryCancel();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return done_; });
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;
    peers_.bytes_ += static_cast<int64_t>(reply_.data().size());
    StartRead(&reply_);
  }

  void OnDone(const grpc::Status&) override {
    --peers_.followers_open_;
    const std::lock_guard lock(mutex_);
    done_ = true;
    changed_.notify_all();
  }

  StreamingPeers& peers_;
  std::unique_ptr<Jobs::Stub> stub_;
  grpc::ClientContext context_;
  LogRequest request_;
  LogReply reply_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
};

StreamingPeers::StreamingPeers() : beat_([this] { Beat(); }) {}

StreamingPeers::~StreamingPeers() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ending_changed_.notify_all();
  beat_.join();
}

void StreamingPeers::AddAgent(const Channel& channel, const std::string& node) {
  auto agent = std::make_unique<Agent>(*this, channel, node);
  const std::lock_guard lock(mutex_);
  agents_.push_back(std::move(agent));
}

void StreamingPeers::AddFollower(const Channel& channel, uint64_t job) {
  followers_.push_back(std::make_unique<Follower>(*this, channel, job));
}

void StreamingPeers::Beat() {
  std::unique_lock lock(mutex_);
  for (int beats = 0; !ending_; ++beats) {
    for (const auto& agent : agents_) agent->Beat(beats % 2 == 0);
    ending_changed_.wait_for(lock, std::chrono::seconds(1), [this] { return ending_; });
  }
}

}  // namespace tanren::coordinator
