// Waits for several descriptors and calls who asked for each. For one thread.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_POLL_SET_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_POLL_SET_H_

#include <poll.h>

#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace tanren::coordinator {

class PollSet {
 public:
  // `ready` is called when the descriptor can be read, or is at its end. It may remove itself.
  void Add(int descriptor, std::function<void()> ready) {
    entries_[descriptor] = std::make_shared<std::function<void()>>(std::move(ready));
  }
  void Remove(int descriptor) { entries_.erase(descriptor); }

  // At most `timeout_ms`. False when nothing was ready.
  bool Wait(int timeout_ms) {
    std::vector<pollfd> polled;
    for (const auto& [descriptor, ready] : entries_) polled.push_back({descriptor, POLLIN, 0});
    const int count = poll(polled.data(), polled.size(), timeout_ms);
    if (count <= 0) return false;
    for (const pollfd& entry : polled) {
      if (entry.revents == 0) continue;
      const auto it = entries_.find(entry.fd);
      // (Kept while it runs, though it may remove its entry.)
      if (it != entries_.end()) {
        const std::shared_ptr<std::function<void()>> ready = it->second;
        (*ready)();
      }
    }
    return true;
  }

 private:
  std::map<int, std::shared_ptr<std::function<void()>>> entries_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_POLL_SET_H_
