// Signals go to one thread that waits for them, so that nothing runs inside a handler.
#ifndef TANREN_RUNTIME_TELEMETRY_SIGNALS_H_
#define TANREN_RUNTIME_TELEMETRY_SIGNALS_H_

#include <signal.h>

#include <atomic>
#include <thread>

#include "runtime/telemetry/flight_recorder.h"

namespace tanren::telemetry {

// Blocks all signals of the calling thread while it lives; threads started meanwhile inherit that.
class SignalsBlocked {
 public:
  SignalsBlocked();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked();

 private:
  sigset_t before_;
};

// To be made by main before any other thread, which inherits the blocked signals; one in a process.
//   SIGUSR1: SaveRequested() becomes true: save and exit at the next step. mpirun forwards it.
//   SIGTERM: mpirun kills within a second, so no collective is started: the explanation goes to
//            standard error (once for all ranks), and the process exits with 143.
class SignalThread {
 public:
  SignalThread();
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;
  ~SignalThread();

  bool SaveRequested() const { return save_requested_; }
  // What SIGTERM reads; null until there is one. Must outlive this, or be reset.
  void set_flight_recorder(FlightRecorder* recorder) { recorder_ = recorder; }

 private:
  void Run();

  sigset_t before_;
  std::atomic<bool> save_requested_ = false;
  std::atomic<bool> stop_ = false;
  std::atomic<FlightRecorder*> recorder_ = nullptr;
  std::thread thread_;
};

}  // namespace tanren::telemetry

#endif  // TANREN_RUNTIME_TELEMETRY_SIGNALS_H_
