// The agents that are connected now, by the name of their node.
#ifndef TANREN_COORDINATOR_SERVER_AGENT_HUB_H_
#define TANREN_COORDINATOR_SERVER_AGENT_HUB_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/coordinator.pb.h"
#include "runtime/base/clock.h"

namespace tanren::coordinator {

// What an agent's stream takes. Nothing waits; what may grow is refused when there is too much.
class AgentLink {
 public:
  using LogAnswered = std::function<void(absl::StatusOr<LogChunk>)>;

  virtual ~AgentLink() = default;
  // The newest replaces what hasn't left yet.
  virtual void SendOrders(const Orders& orders) = 0;
  // `answered` is called once: kUnavailable when the stream ends before the answer. False: not
  // sent.
  virtual bool AskLog(ReadLogChunk request, LogAnswered answered) = 0;
  // False: too much waits.
  virtual bool Forward(CoordinatorMessage message) = 0;
  virtual void Replace(const absl::Status& status) = 0;
};

// Thread-safe. A node's orders reach the stream that the core knows of: from Accept on.
class AgentHub {
 public:
  // Greater than those of all streams before, also of an earlier process.
  uint64_t NewStream() { return next_stream_++; }

  // `link` is the node's from now on; what it replaces is ended. `post` tells the core, in the
  // order of joins and leaves.
  absl::Status Join(const std::string& node, const std::shared_ptr<AgentLink>& link,
                    const std::function<absl::Status()>& post);
  // The core has taken the join: orders may go out.
  void Accept(const std::string& node, const AgentLink* link);
  // Where `link` still is the node's: `post` tells the core.
  void Leave(const std::string& node, const AgentLink* link,
             const std::function<absl::Status()>& post);
  // Every stream is to begin anew.
  void EndAll(const absl::Status& status);

  void SendOrders(const std::string& node, const Orders& orders);
  // False: the node isn't connected, or too much waits.
  bool AskLog(const std::string& node, ReadLogChunk request, AgentLink::LogAnswered answered);
  bool Forward(const std::string& node, CoordinatorMessage message);
  // Kept for the node's next stream if it isn't connected: nobody else tells it.
  void ForwardEnd(const RemoteEnd& end);

  size_t size() const;

 private:
  struct Member {
    std::shared_ptr<AgentLink> link;
    bool accepted = false;
  };
  std::shared_ptr<AgentLink> Find(const std::string& node, bool accepted) const;

  std::atomic<uint64_t> next_stream_ = static_cast<uint64_t>(WallMs());
  mutable std::mutex mutex_;
  std::map<std::string, Member> members_;
  std::map<std::string, std::deque<RemoteEnd>> undelivered_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_AGENT_HUB_H_
