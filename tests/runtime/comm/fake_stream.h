// CUDA's streams and events as the fake of NCCL has them.
#ifndef TANREN_TESTS_RUNTIME_COMM_FAKE_STREAM_H_
#define TANREN_TESTS_RUNTIME_COMM_FAKE_STREAM_H_

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "runtime/comm/nccl_api.h"

namespace tanren::comm {

struct NcclApi::Event {
  // Shared with the jobs that will set it, which may come after its end.
  std::shared_ptr<std::atomic<bool>> done = std::make_shared<std::atomic<bool>>(false);
};

struct NcclApi::Stream {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> jobs;
  bool stop = false;
  std::thread thread;
  int number = 0;  // to the race detector

  Stream() {
    thread = std::thread([this] {
      std::unique_lock lock(mutex);
      while (true) {
        changed.wait(lock, [this] { return stop || !jobs.empty(); });
        if (jobs.empty()) return;
        const std::function<void()> job = std::move(jobs.front());
        jobs.pop_front();
        lock.unlock();
        job();
        lock.lock();
      }
    });
  }
  ~Stream() {
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    changed.notify_one();
    thread.join();
  }
  void Give(std::function<void()> job) {
    {
      std::lock_guard lock(mutex);
      jobs.push_back(std::move(job));
    }
    changed.notify_one();
  }
};

}  // namespace tanren::comm

#endif  // TANREN_TESTS_RUNTIME_COMM_FAKE_STREAM_H_
