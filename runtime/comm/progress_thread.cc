#include "runtime/comm/progress_thread.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <future>
#include <mutex>
#include <utility>

#include "runtime/telemetry/signals.h"

namespace tanren::comm {
namespace {

class JobWork final : public Work {
 public:
  explicit JobWork(std::shared_future<void> done) : done_(std::move(done)) {}
  void Wait() override { done_.get(); }

 private:
  std::shared_future<void> done_;
};

}  // namespace

struct ProgressThread::Queue {
  void Run();

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::packaged_task<void()>> jobs;
  bool stop = false;
};

ProgressThread::ProgressThread() : queue_(std::make_shared<Queue>()) {
  const telemetry::SignalsBlocked blocked;
  thread_ = std::thread([queue = queue_] { queue->Run(); });
}

ProgressThread::~ProgressThread() {
  {
    std::lock_guard lock(queue_->mutex);
    queue_->stop = true;
  }
  queue_->changed.notify_one();
  // While an exception unwinds, the rank that a job waits for may never come.
  if (std::uncaught_exceptions() > 0) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

std::unique_ptr<Work> ProgressThread::Start(std::function<void()> job) {
  std::packaged_task<void()> task(std::move(job));
  auto work = std::make_unique<JobWork>(task.get_future().share());
  {
    std::lock_guard lock(queue_->mutex);
    queue_->jobs.push_back(std::move(task));
  }
  queue_->changed.notify_one();
  return work;
}

void ProgressThread::Queue::Run() {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [this] { return stop || !jobs.empty(); });
    if (jobs.empty()) return;
    {
      std::packaged_task<void()> task = std::move(jobs.front());
      jobs.pop_front();
      lock.unlock();
      task();
    }
    lock.lock();
  }
}

}  // namespace tanren::comm
