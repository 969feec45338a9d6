#include "runtime/telemetry/signals.h"

#include <pthread.h>
#include <unistd.h>

#include "runtime/telemetry/flight_explanation.h"

namespace tanren::telemetry {
namespace {

constexpr int kTerminatedExitCode = 128 + SIGTERM;

// What the thread waits for; SIGUSR2 wakes it to stop.
sigset_t AwaitedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGUSR1);
  sigaddset(&signals, SIGUSR2);
  return signals;
}

}  // namespace

SignalsBlocked::SignalsBlocked() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before_);
}

SignalsBlocked::~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

SignalThread::SignalThread() {
  const sigset_t signals = AwaitedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, &before_);
  thread_ = std::thread([this] { Run(); });
}

SignalThread::~SignalThread() {
  stop_ = true;
  pthread_kill(thread_.native_handle(), SIGUSR2);
  thread_.join();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void SignalThread::Run() {
  const sigset_t signals = AwaitedSignals();
  while (true) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (stop_) return;
    if (signal == SIGUSR1) save_requested_ = true;
    if (signal != SIGTERM) continue;
    if (FlightRecorder* recorder = recorder_; recorder != nullptr) {
      recorder->Terminate("SIGTERM");
      ExplainBeforeTheEnd(*recorder);
    }
    _exit(kTerminatedExitCode);
  }
}

}  // namespace tanren::telemetry
