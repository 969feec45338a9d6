// A thread for what neither the loop nor gRPC's threads should do: making long answers, waking
// those who watch, looking again at what waits.
#ifndef TANREN_COORDINATOR_SERVER_TASK_THREAD_H_
#define TANREN_COORDINATOR_SERVER_TASK_THREAD_H_

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace tanren::coordinator {

class TaskThread {
 public:
  // `look` is called every so often; it may be null.
  TaskThread(std::chrono::milliseconds every, std::function<void()> look);
  // Runs what waits, and ends.
  ~TaskThread();

  // From any thread. Each open call has at most one task here.
  void Run(std::function<void()> task);

 private:
  void Work();

  const std::chrono::milliseconds every_;
  const std::function<void()> look_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_TASK_THREAD_H_
