#include "coordinator/server/task_thread.h"

#include <utility>

namespace tanren::coordinator {

TaskThread::TaskThread(std::chrono::milliseconds every, std::function<void()> look)
    : every_(every), look_(std::move(look)), thread_([this] { Work(); }) {}

TaskThread::~TaskThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  thread_.join();
}

void TaskThread::Run(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  work_.notify_one();
}

void TaskThread::Work() {
  auto next_look = std::chrono::steady_clock::now() + every_;
  std::unique_lock lock(mutex_);
  while (!stopping_ || !tasks_.empty()) {
    work_.wait_until(lock, next_look, [this] { return stopping_ || !tasks_.empty(); });
    std::deque<std::function<void()>> tasks = std::move(tasks_);
    tasks_.clear();
    lock.unlock();
    for (const auto& task : tasks) task();
    tasks.clear();
    if (const auto now = std::chrono::steady_clock::now(); now >= next_look) {
      if (look_) look_();
      next_look = now + every_;
    }
    lock.lock();
  }
}

}  // namespace tanren::coordinator
