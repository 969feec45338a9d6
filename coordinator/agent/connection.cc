#include "coordinator/agent/connection.h"

#include <sys/random.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <limits>
#include <utility>

#include "coordinator/wire/file_stamp.h"
#include "coordinator/wire/protocol.h"
#include "runtime/base/build.h"
#include "runtime/base/clock.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

constexpr double kStreamSeconds = 24 * 3600;  // then it begins anew

// Uniform in [0, bound].
int64_t RandomUpTo(int64_t bound) {
  uint64_t word = 0;
  if (getrandom(&word, sizeof(word), 0) != sizeof(word)) return bound;
  return static_cast<int64_t>(word % static_cast<uint64_t>(bound + 1));
}

std::string StampOfFiles(const Endpoint& endpoint) {
  return StampOf(
      {endpoint.token_file, endpoint.ca_file, endpoint.certificate_file, endpoint.key_file});
}

}  // namespace

// That an attempt is destroyed. A reaction's thread may hold the last reference to it, and with it
// the channel, for a while after the last reaction has said that all is over. The process's last
// channel must not end there: gRPC 1.51 then joins its callbacks' threads, the calling one among
// them, and frees the queue under it (CallbackAlternativeCQ::Unref).
class Connection::Gone {
 public:
  void Happened() {
    const std::lock_guard lock(mutex_);
    happened_ = true;
    changed_.notify_all();
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return happened_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool happened_ = false;
};

// One try: Hello, and the stream if the answer is good. gRPC's threads call the reactions; each
// outlives its calls because they hold a reference of their own.
class Connection::Attempt final : public grpc::ClientBidiReactor<AgentMessage, CoordinatorMessage>,
                                  public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(const Channel& channel, Agents::Stub& stub, const Node& join, const std::string& node_key,
          const std::function<void()>& wake)
      : channel_(channel), stub_(stub), wake_(wake) {
    AgentMessage& first = outbox_.emplace_back();
    *first.mutable_join() = join;
    first.set_node_key(node_key);
  }

  void Begin(double hello_seconds) {
    channel_.Prepare(hello_context_, hello_seconds);
    hello_.set_protocol(kProtocolVersion);
    hello_.set_version(kVersion);
    stub_.async()->Hello(
        &hello_context_, &hello_, &hello_reply_,
        [self = shared_from_this()](const grpc::Status& status) { self->OnHello(status); });
  }

  void Send(AgentMessage message) {
    {
      const std::lock_guard lock(mutex_);
      if (message.has_report()) {
        // The first message may be the one that is being written.
        for (size_t i = writing_ ? 1 : 0; i < outbox_.size(); ++i) {
          if (outbox_[i].has_report()) {
            outbox_[i] = std::move(message);
            return;
          }
        }
      }
      outbox_.push_back(std::move(message));
    }
    WriteNext();
  }

  std::vector<ConnectionEvent> Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(inbox_, {});
  }

  void Cancel() {
    hello_context_.TryCancel();
    context_.TryCancel();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {  // OnDone says why
      bool writing = false;
      {
        const std::lock_guard lock(mutex_);
        reading_ = false;
        writing = writing_;
      }
      if (!writing) RemoveHold();
      return;
    }
    Put(std::move(incoming_));
    incoming_.Clear();
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    bool reading = false;
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
      outbox_.pop_front();
      reading = reading_;
    }
    if (!reading) return RemoveHold();
    if (ok) WriteNext();
  }

  void OnDone(const grpc::Status& status) override {
    const auto self = std::move(self_);
    const bool ended_well = status.ok();
    Close(ended_well ? absl::UnavailableError("the coordinator ended the stream")
                     : FromGrpc(status));
  }

 private:
  void OnHello(const grpc::Status& status) {
    if (!status.ok()) return Close(FromGrpc(status));
    if (hello_reply_.protocol() < kOldestProtocol) {
      return Close(absl::FailedPreconditionError(
          "the coordinator speaks an older protocol than this agent understands: upgrade it"));
    }
    Put(StreamOpened{hello_reply_.epoch(), hello_reply_.version()});
    self_ = shared_from_this();
    channel_.Prepare(context_, kStreamSeconds);
    stub_.async()->Serve(&context_, this);
    // Writes begin on the loop's thread: the stream must not be over before its last read has
    // failed and none of them is under way.
    AddHold();
    {
      const std::lock_guard lock(mutex_);
      reading_ = true;
    }
    StartRead(&incoming_);
    StartCall();
    WriteNext();
  }

  void WriteNext() {
    const AgentMessage* next = nullptr;  // stays where it is while others are put behind it
    {
      const std::lock_guard lock(mutex_);
      if (!reading_ || writing_ || outbox_.empty()) return;
      writing_ = true;
      next = &outbox_.front();
    }
    StartWrite(next);
  }

  void Put(ConnectionEvent event) {
    {
      const std::lock_guard lock(mutex_);
      inbox_.push_back(std::move(event));
    }
    wake_();
  }

  void Close(absl::Status status) { Put(StreamClosed{std::move(status)}); }

  const Channel& channel_;
  Agents::Stub& stub_;
  const std::function<void()>& wake_;
  grpc::ClientContext hello_context_;
  grpc::ClientContext context_;
  HelloRequest hello_;
  HelloReply hello_reply_;
  CoordinatorMessage incoming_;
  std::shared_ptr<Attempt> self_;  // while the stream is gRPC's

  std::mutex mutex_;
  std::deque<AgentMessage> outbox_;
  std::vector<ConnectionEvent> inbox_;
  bool reading_ = false;
  bool writing_ = false;
};

Connection::Connection(Channel channel, Node join, std::function<void()> wake,
                       ConnectionOptions options)
    : channel_(std::move(channel)),
      join_(std::move(join)),
      wake_(std::move(wake)),
      options_(options),
      stub_(Agents::NewStub(channel_.grpc())),
      stamp_(StampOfFiles(channel_.endpoint())),
      certificate_(channel_.endpoint().certificate_file, channel_.endpoint().key_file) {}

Connection::~Connection() {
  if (attempt_ == nullptr) return;
  attempt_->Cancel();
  LetGo();
}

void Connection::Begin() {
  Node join = join_;
  join.set_certificate_expires_ms(certificate_.expires_ms());
  gone_ = std::make_shared<Gone>();
  attempt_ = std::shared_ptr<Attempt>(new Attempt(channel_, *stub_, join, options_.node_key, wake_),
                                      [gone = gone_](Attempt* attempt) {
                                        delete attempt;
                                        gone->Happened();
                                      });
  attempt_->Begin(static_cast<double>(options_.hello_ms) / 1000);
}

void Connection::LetGo() {
  attempt_.reset();
  gone_->Wait();
}

void Connection::Wait(int64_t now_ms) {
  wait_ms_ =
      wait_ms_ == 0 ? options_.first_wait_ms : std::min(wait_ms_ * 2, options_.longest_wait_ms);
  next_try_ms_ = now_ms + wait_ms_ / 2 + RandomUpTo(wait_ms_ - wait_ms_ / 2);
}

void Connection::ReadFilesAnew() {
  std::string stamp = StampOfFiles(channel_.endpoint());
  if (stamp == stamp_) return;
  absl::StatusOr<Channel> opened = Channel::Open(channel_.endpoint());
  if (!opened.ok()) {
    // It may be half copied: the next try looks again.
    LogWarning("what this agent shows has changed, and the old goes on: {}",
               std::string(opened.status().message()));
    return;
  }
  LogInfo("what this agent shows has changed: it is read anew");
  stub_.reset();
  channel_ = *std::move(opened);
  stub_ = Agents::NewStub(channel_.grpc());
  stamp_ = std::move(stamp);
}

void Connection::Act(int64_t now_ms) {
  now_ms_ = now_ms;
  const bool is_renewed = certificate_.Look(WallMs(), now_ms);
  if (attempt_ == nullptr) {
    if (now_ms < next_try_ms_) return;
    ReadFilesAnew();
    Begin();
  } else if (open_ && (is_renewed || now_ms >= heard_ms_ + options_.silence_ms)) {
    attempt_->Cancel();
    heard_ms_ = now_ms;
  }
}

int64_t Connection::NextCall() const {
  if (attempt_ == nullptr) return next_try_ms_;
  return open_ ? heard_ms_ + options_.silence_ms : std::numeric_limits<int64_t>::max();
}

std::vector<ConnectionEvent> Connection::Take() {
  if (attempt_ == nullptr) return {};
  std::vector<ConnectionEvent> events = attempt_->Take();
  for (const ConnectionEvent& event : events) {
    heard_ms_ = now_ms_;
    if (std::holds_alternative<StreamOpened>(event)) {
      open_ = true;
    } else if (std::holds_alternative<CoordinatorMessage>(event)) {
      wait_ms_ = 0;  // it works
    } else {
      open_ = false;
      LetGo();
      if (std::exchange(left_, false)) wait_ms_ = options_.longest_wait_ms;
      Wait(now_ms_);
    }
  }
  return events;
}

void Connection::Leave() {
  if (!open_) return;
  left_ = true;
  attempt_->Cancel();
}

void Connection::Send(AgentMessage message) {
  if (open_) attempt_->Send(std::move(message));
}

}  // namespace tanren::coordinator
