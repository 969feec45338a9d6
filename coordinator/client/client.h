// A connection to the coordinator for one command: calls that survive its restart, and errors that
// say what to do.
#ifndef TANREN_COORDINATOR_CLIENT_CLIENT_H_
#define TANREN_COORDINATOR_CLIENT_CLIENT_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/client/endpoint.h"
#include "coordinator/wire/channel.h"
#include "proto/coordinator.grpc.pb.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {

// How long calls are tried again while the coordinator can't be reached.
struct Patience {
  double unreached_seconds = 2;  // where it never was, by this process
  double lost_seconds = 30;      // where it was: it restarts
  double answer_seconds = 20;    // for one answer
};

// 32 random hexadecimal digits: names a change, however often it is sent.
std::string NewRequestId();

// Waits between tries: doubling from 50 ms to 1 s, each a random part of that, at least half.
class Backoff {
 public:
  std::chrono::milliseconds Next();

 private:
  int64_t longest_ms_ = 50;
};

// Used by one thread.
class Client {
 public:
  static absl::StatusOr<std::unique_ptr<Client>> Open(const Endpoint& endpoint,
                                                      const Patience& patience = {});

  Jobs::Stub& jobs() { return *jobs_; }
  Admin::Stub& admin() { return *admin_; }
  const Endpoint& endpoint() const { return channel_.endpoint(); }

  // One call; tried again while UNAVAILABLE or CANCELLED. A change must hold its request id: the
  // same one is sent each time. Errors are for people.
  template <typename Stub, typename Request, typename Reply>
  absl::StatusOr<Reply> Call(Stub& stub,
                             grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                          Reply*),
                             const Request& request) {
    Reply reply;
    TANREN_RETURN_IF_ERROR(Try([&](grpc::ClientContext& context) {
      reply.Clear();
      return (stub.*method)(&context, request, &reply);
    }));
    return reply;
  }

  // A stream's context, with the token and a deadline of a day.
  void PrepareStream(grpc::ClientContext& context) const { channel_.Prepare(context, 24 * 3600); }

  // Whether a call or stream that ended so is to be tried again, after a wait that this makes.
  // `since` is when the trouble began; a call that got through begins anew.
  class Retries {
   public:
    explicit Retries(Client& client) : client_(client) {}
    bool WaitToTryAgain(const grpc::Status& status);
    void GotThrough();

   private:
    Client& client_;
    Backoff backoff_;
    std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
  };

  // Whether the coordinator was ever reached: else nothing that was sent got there.
  bool reached() const { return reached_; }

  // What the status of a call means for a person.
  absl::Status Explain(const grpc::Status& status) const;

 private:
  Client(Channel channel, const Patience& patience);
  // Returns once there is one, or after `wait`; where there is one already, after `wait`.
  void WaitForConnection(std::chrono::milliseconds wait);
  absl::Status Try(const std::function<grpc::Status(grpc::ClientContext&)>& call);

  Channel channel_;
  Patience patience_;
  std::unique_ptr<Jobs::Stub> jobs_;
  std::unique_ptr<Admin::Stub> admin_;
  bool reached_ = false;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_CLIENT_H_
