// One who watches: every event from a number on, none missed, at the watcher's own pace.
#ifndef TANREN_COORDINATOR_SERVER_WATCH_STREAM_H_
#define TANREN_COORDINATOR_SERVER_WATCH_STREAM_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>

#include "coordinator/server/coordinator_parts.h"
#include "coordinator/server/stream.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

using WatchReactor = grpc::ServerWriteReactor<HistoryEvent>;

// Holds a few events at most: a slow watcher reads from the newest events, or once those are past
// from the store.
class WatchStream final : public Stream<WatchReactor, HistoryEvent> {
 public:
  WatchStream(grpc::CallbackServerContext* context, const CoordinatorParts& parts, Caller caller,
              const WatchRequest& request);

  void Begin();
  void Pump() override;
  void Look() override {}

 private:
  bool Next(HistoryEvent& message) override;
  void Closed() override;
  void ReadStore();
  void OnStoreRead(absl::StatusOr<std::vector<HistoryEvent>> events);
  std::shared_ptr<WatchStream> Self() {
    return std::static_pointer_cast<WatchStream>(this->shared_from_this());
  }

  const CoordinatorParts parts_;
  const Caller caller_;
  const uint64_t job_;
  uint64_t subscription_ = 0;
  std::atomic<bool> waking_ = false;

  // Guarded by mutex_.
  uint64_t next_;  // the event that is to be read next
  std::deque<std::shared_ptr<const HistoryEvent>> events_;
  bool wants_store_ = false;
  bool reading_store_ = false;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_WATCH_STREAM_H_
