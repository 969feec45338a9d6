// The writing side of a streaming call: one message at a time, pulled when the peer takes it, and
// an end that always comes.
#ifndef TANREN_COORDINATOR_SERVER_STREAM_H_
#define TANREN_COORDINATOR_SERVER_STREAM_H_

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "coordinator/server/open_streams.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"

namespace tanren::coordinator {

// `Reactor` is gRPC's ServerWriteReactor or ServerBidiReactor. Derived classes say what comes next,
// and call Pump() when that may have changed. gRPC's operations are begun outside of the lock,
// since it may run reactions within them.
template <typename Reactor, typename Message>
class Stream : public Reactor, public OpenStream, public std::enable_shared_from_this<OpenStream> {
 public:
  void Pump() override {
    std::unique_lock lock(mutex_);
    if (writing_ || finished_ || cancelling_) return;
    if (!end_.has_value() && Next(message_)) {
      writing_ = true;
      lock.unlock();
      this->StartWrite(&message_);
      return;
    }
    if (!end_.has_value()) return;
    finished_ = true;
    const grpc::Status status = *end_;
    lock.unlock();
    this->Finish(status);
  }

  // The first status counts. What is being written is waited for.
  void End(const grpc::Status& status) override {
    {
      const std::lock_guard lock(mutex_);
      if (!end_.has_value()) end_ = status;
    }
    Pump();
  }

  // Fails what waits for a peer that takes nothing.
  void Cancel() override {
    {
      // The context lives until Finish was called.
      const std::lock_guard lock(mutex_);
      if (finished_ || cancelling_) return;
      cancelling_ = true;
    }
    context_->TryCancel();
    {
      const std::lock_guard lock(mutex_);
      cancelling_ = false;
    }
    Pump();
  }

  void OnWriteDone(bool ok) final {
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
      if (!ok && !end_.has_value()) end_ = grpc::Status::CANCELLED;
    }
    Pump();
  }

  void OnCancel() override { End(grpc::Status::CANCELLED); }

  void OnDone() final {
    Closed();
    streams_->Remove(this);  // may destroy this
  }

 protected:
  Stream(grpc::CallbackServerContext* context, OpenStreams* streams)
      : context_(context), streams_(streams) {}

  // With mutex_ held: puts the next message into `message` (which holds the last one); false where
  // there is none now. May set end_.
  virtual bool Next(Message& message) = 0;
  // Nothing of the call follows.
  virtual void Closed() {}

  std::mutex mutex_;
  std::optional<grpc::Status> end_;  // guarded by mutex_

 private:
  grpc::CallbackServerContext* const context_;
  OpenStreams* const streams_;
  Message message_;
  bool writing_ = false;
  bool finished_ = false;
  bool cancelling_ = false;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_STREAM_H_
