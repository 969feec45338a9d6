// The agent's stream to the coordinator: opened, watched, and opened again.
#ifndef TANREN_COORDINATOR_AGENT_CONNECTION_H_
#define TANREN_COORDINATOR_AGENT_CONNECTION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/agent/certificate_watch.h"
#include "coordinator/wire/channel.h"
#include "proto/coordinator.grpc.pb.h"

namespace tanren::coordinator {

struct StreamOpened {
  uint64_t epoch = 0;
  std::string version;  // the coordinator's
};
struct StreamClosed {
  absl::Status status;
};
using ConnectionEvent = std::variant<StreamOpened, StreamClosed, CoordinatorMessage>;

struct ConnectionOptions {
  // A stream on which nothing came for so long is given up.
  int64_t silence_ms = 8'000;
  // Between tries: doubling, each a random part of that, at least half.
  int64_t first_wait_ms = 100;
  int64_t longest_wait_ms = 2'000;
  int64_t hello_ms = 5'000;  // for the answer to Hello
  std::string node_key;      // goes with the join
};

// Reads the endpoint's files anew, where they have changed, before it begins a stream; for another
// certificate it begins one within a minute. Used by one
// thread; times are CLOCK_BOOTTIME, milliseconds.
class Connection {
 public:
  // `join` is the first message of each stream. `wake` is called, from any thread, when Take() has
  // something.
  Connection(Channel channel, Node join, std::function<void()> wake,
             ConnectionOptions options = {});
  // Ends the stream and waits for gRPC to let go of it.
  ~Connection();

  // Begins a stream when it is time to, and gives up one that is silent.
  void Act(int64_t now_ms);
  // When Act has something to do.
  int64_t NextCall() const;

  // In the order in which it came. What belongs to a stream stands between its StreamOpened and
  // its StreamClosed; a try that didn't lead to a stream has only the latter.
  std::vector<ConnectionEvent> Take();

  bool is_open() const { return open_; }
  // Of the certificate that it shows, since the epoch; 0: none.
  int64_t certificate_expires_ms() const { return certificate_.expires_ms(); }
  // Ends the stream that is open, to begin another after the longest wait.
  void Leave();
  // Dropped while no stream is open. A report replaces one that waits to be sent.
  void Send(AgentMessage message);

 private:
  class Attempt;
  class Gone;
  void Begin();
  // Until no thread of gRPC's has the attempt any more.
  void LetGo();
  void Wait(int64_t now_ms);
  // The token, certificate and authority may have been renewed.
  void ReadFilesAnew();

  Channel channel_;
  const Node join_;
  const std::function<void()> wake_;
  const ConnectionOptions options_;
  std::unique_ptr<Agents::Stub> stub_;
  std::string stamp_;  // of the channel's files
  CertificateWatch certificate_;
  std::shared_ptr<Attempt> attempt_;
  std::shared_ptr<Gone> gone_;  // of attempt_
  bool open_ = false;
  bool left_ = false;
  int64_t heard_ms_ = 0;
  int64_t next_try_ms_ = 0;
  int64_t wait_ms_ = 0;
  int64_t now_ms_ = 0;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_AGENT_CONNECTION_H_
