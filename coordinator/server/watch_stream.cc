#include "coordinator/server/watch_stream.h"

#include <utility>
#include <vector>

#include "coordinator/server/shown_job.h"
#include "coordinator/state/cluster.h"
#include "coordinator/wire/channel.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

constexpr size_t kFromMemory = 64;
constexpr int kFromStore = 256;

}  // namespace

WatchStream::WatchStream(grpc::CallbackServerContext* context, const CoordinatorParts& parts,
                         Caller caller, const WatchRequest& request)
    : Stream(context, &parts.streams),
      parts_(parts),
      caller_(std::move(caller)),
      job_(request.job()),
      next_(request.from_sequence() != 0 ? request.from_sequence()
                                         : parts.loop.recent().last() + 1) {}

void WatchStream::Begin() {
  const std::weak_ptr<WatchStream> weak = Self();
  // Woken from a thread of its own: the loop's has other things to do.
  subscription_ = parts_.loop.recent().Subscribe([weak, tasks = &parts_.tasks] {
    const std::shared_ptr<WatchStream> self = weak.lock();
    if (self == nullptr || self->waking_.exchange(true)) return;
    tasks->Run([self] {
      self->waking_ = false;
      self->Pump();
    });
  });
  const uint64_t last = parts_.loop.recent().last();
  if (next_ > last + 1) {
    End(ToGrpc(absl::FailedPreconditionError(fmt::format(
        "from_sequence: {}, but the history ends with event {}; it may have been restored from a "
        "backup",
        next_, last))));
    return;
  }
  Pump();
}

bool WatchStream::Next(HistoryEvent& message) {
  if (reading_store_) return false;
  while (true) {
    while (!events_.empty()) {
      const std::shared_ptr<const HistoryEvent> event = std::move(events_.front());
      events_.pop_front();
      next_ = event->sequence() + 1;
      if (job_ != 0 && JobOf(*event) != job_) continue;
      message = *event;
      HideSecrets(caller_, message);
      return true;
    }
    RecentEvents::Events read;
    if (!parts_.loop.recent().Read(next_, kFromMemory, read)) {
      wants_store_ = true;
      return false;
    }
    if (read.empty()) return false;
    events_.assign(read.begin(), read.end());
  }
}

void WatchStream::Pump() {
  Stream::Pump();
  {
    const std::lock_guard lock(mutex_);
    if (!wants_store_ || reading_store_ || end_.has_value()) return;
    wants_store_ = false;
    reading_store_ = true;
  }
  ReadStore();
}

void WatchStream::ReadStore() {
  uint64_t first = 0;
  {
    const std::lock_guard lock(mutex_);
    first = next_;
  }
  const absl::Status posted =
      parts_.loop.Read([self = Self(), first](const absl::Status& status, const View* view) {
        if (!status.ok()) return self->OnStoreRead(status);
        if (view->store == nullptr) {
          return self->OnStoreRead(absl::UnavailableError("the history can't be read now"));
        }
        self->OnStoreRead(view->store->Events(first, kFromStore));
      });
  if (!posted.ok()) OnStoreRead(posted);
}

void WatchStream::OnStoreRead(absl::StatusOr<std::vector<HistoryEvent>> events) {
  {
    const std::lock_guard lock(mutex_);
    reading_store_ = false;
    if (events.ok()) {
      for (HistoryEvent& event : *events) {
        events_.push_back(std::make_shared<const HistoryEvent>(std::move(event)));
      }
    }
  }
  if (!events.ok()) return End(ToGrpc(events.status()));
  // Not on the loop's thread: the message that goes out now is made there.
  parts_.tasks.Run([self = Self()] { self->Pump(); });
}

void WatchStream::Closed() { parts_.loop.recent().Unsubscribe(subscription_); }

}  // namespace tanren::coordinator
