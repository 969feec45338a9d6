// What other threads have for the coordinator, until the loop sends it.
#ifndef TANREN_COORDINATOR_AGENT_OUTBOX_H_
#define TANREN_COORDINATOR_AGENT_OUTBOX_H_

#include <cstddef>
#include <deque>
#include <mutex>

#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

// Wakes a thread that polls, from any thread.
class Wake {
 public:
  Wake();
  ~Wake();
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;

  void operator()();
  // To be polled for reading.
  int descriptor() const { return descriptor_; }
  void Clear();

 private:
  int descriptor_;
};

// Thread-safe.
class Outbox {
 public:
  // `wake` outlives this.
  explicit Outbox(Wake& wake) : wake_(wake) {}

  // Beyond so many the oldest go: whoever waits for them gives up first.
  static constexpr size_t kMost = 1'000;

  void Put(AgentMessage message);
  std::deque<AgentMessage> Take();

 private:
  Wake& wake_;
  std::mutex mutex_;
  std::deque<AgentMessage> messages_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_AGENT_OUTBOX_H_
