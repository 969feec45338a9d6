// Simulated time: what is to happen, in order. Equal times happen in the order they were planned.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_EVENT_QUEUE_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_EVENT_QUEUE_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace tanren::coordinator::simulation {

constexpr int64_t kMillisecond = 1'000;
constexpr int64_t kSecond = 1'000'000;

class EventQueue {
 public:
  // Microseconds since the simulation began: no clock of the simulated machines shows them.
  int64_t now_us() const { return now_us_; }

  void At(int64_t time_us, std::function<void()> what) {
    heap_.push_back({std::max(time_us, now_us_), ++planned_, std::move(what)});
    std::push_heap(heap_.begin(), heap_.end(), Later);
  }
  void After(int64_t delay_us, std::function<void()> what) {
    At(now_us_ + delay_us, std::move(what));
  }
  // False once nothing is planned.
  bool RunNext() {
    if (heap_.empty()) return false;
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    Event event = std::move(heap_.back());
    heap_.pop_back();
    now_us_ = event.time_us;
    ++ran_;
    event.what();
    return true;
  }
  uint64_t ran() const { return ran_; }

 private:
  struct Event {
    int64_t time_us;
    uint64_t number;
    std::function<void()> what;
  };
  static bool Later(const Event& a, const Event& b) {
    return a.time_us != b.time_us ? a.time_us > b.time_us : a.number > b.number;
  }

  int64_t now_us_ = 0;
  uint64_t planned_ = 0;
  uint64_t ran_ = 0;
  std::vector<Event> heap_;
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_EVENT_QUEUE_H_
