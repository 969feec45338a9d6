// A port on which other nodes of a gang try whether they reach this one. What connects is let go at
// once: that it came through is all there is to know.
#ifndef TANREN_COORDINATOR_AGENT_REACH_LISTENER_H_
#define TANREN_COORDINATOR_AGENT_REACH_LISTENER_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

class ReachListener {
 public:
  // At `address` (in numbers, or a name, of which the first address is taken), or, where this
  // machine is known by that only to others, at all of its own. `port` 0: one that is free.
  // kInvalidArgument for an address that can't be looked up, kUnavailable for a port that is taken.
  static absl::StatusOr<std::unique_ptr<ReachListener>> Open(const std::string& address, int port);
  ~ReachListener();

  // "ADDRESS:PORT" in numbers, as others are to try it: Node.reach.
  const std::string& where() const { return where_; }

 private:
  ReachListener(Descriptor listener, std::string where);
  void Accept();

  Descriptor listener_;
  const std::string where_;
  std::thread thread_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_AGENT_REACH_LISTENER_H_
