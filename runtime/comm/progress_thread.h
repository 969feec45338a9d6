// One thread that runs the jobs given to it, in order.
#ifndef TANREN_RUNTIME_COMM_PROGRESS_THREAD_H_
#define TANREN_RUNTIME_COMM_PROGRESS_THREAD_H_

#include <functional>
#include <memory>
#include <thread>

#include "runtime/comm/communicator.h"

namespace tanren::comm {

class ProgressThread {
 public:
  ProgressThread();
  ProgressThread(const ProgressThread&) = delete;
  ProgressThread& operator=(const ProgressThread&) = delete;
  // Runs what is queued first; while an exception unwinds it leaves the thread to itself instead.
  ~ProgressThread();

  // The Work ends with the job, and throws what the job threw. What the job needs it must own.
  std::unique_ptr<Work> Start(std::function<void()> job);

 private:
  struct Queue;

  std::shared_ptr<Queue> queue_;  // outlives this if the thread does
  std::thread thread_;
};

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_PROGRESS_THREAD_H_
