#include "coordinator/agent/outbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "runtime/base/error.h"

namespace tanren::coordinator {

Wake::Wake() : descriptor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  TANREN_CHECK(descriptor_ >= 0);
}

Wake::~Wake() { close(descriptor_); }

void Wake::operator()() {
  const uint64_t one = 1;
  // Full only when it is awake already.
  [[maybe_unused]] const ssize_t written = write(descriptor_, &one, sizeof(one));
}

void Wake::Clear() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t taken = read(descriptor_, &count, sizeof(count));
}

void Outbox::Put(AgentMessage message) {
  {
    const std::lock_guard lock(mutex_);
    if (messages_.size() >= kMost) messages_.pop_front();
    messages_.push_back(std::move(message));
  }
  wake_();
}

std::deque<AgentMessage> Outbox::Take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(messages_, {});
}

}  // namespace tanren::coordinator
