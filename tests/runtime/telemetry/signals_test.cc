#include "runtime/telemetry/signals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/runtime/telemetry/child_process.h"

namespace tanren::telemetry {
namespace {

namespace fs = std::filesystem;

TEST(Signals, SigusrOneAsksToSaveAndEndsNothing) {
  ChildProcess child([](const std::function<void()>& ready) {
    const SignalThread signals;
    if (signals.SaveRequested()) return 1;
    ready();
    while (!signals.SaveRequested()) std::this_thread::yield();
    return 75;
  });
  child.Signal(SIGUSR1);
  EXPECT_EQ(child.Wait(), 75);
}

TEST(Signals, SigtermExplainsAndEndsTheProcess) {
  const fs::path folder = fs::path(testing::TempDir()) / "signals_sigterm";
  fs::remove_all(folder);
  ChildProcess child([&](const std::function<void()>& ready) {
    SignalThread signals;
    const auto recorder =
        *FlightRecorder::Create({.folder = folder, .rank = 0, .world_size = 1, .launch = "one"});
    signals.set_flight_recorder(recorder.get());
    recorder->Enter({"world", "barrier", "start", "", 4});
    ready();
    while (true) pause();
    return 0;
  });
  child.Signal(SIGTERM);
  EXPECT_EQ(child.Wait(), 128 + SIGTERM);
  EXPECT_THAT(child.Errors(),
              testing::HasSubstr("tanren: ended from outside by SIGTERM; rank 0 waited in barrier "
                                 "#4 of 'start'"));
  const FlightRecord record = ReadFlightRecords(folder)->at(0);
  EXPECT_EQ(record.status, RankStatus::kTerminated);
  EXPECT_EQ(record.failure, "SIGTERM");
}

TEST(Signals, SigtermWithoutARecorderEndsTheProcessTheSameWay) {
  ChildProcess child([](const std::function<void()>& ready) {
    const SignalThread signals;
    ready();
    while (true) pause();
    return 0;
  });
  child.Signal(SIGTERM);
  EXPECT_EQ(child.Wait(), 128 + SIGTERM);
  EXPECT_EQ(child.Errors(), "");
}

TEST(Signals, TheMaskIsAsBeforeOnceTheThreadIsGone) {
  sigset_t before, during, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  {
    const SignalThread signals;
    pthread_sigmask(SIG_SETMASK, nullptr, &during);
  }
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  EXPECT_EQ(sigismember(&during, SIGUSR1), 1);
  for (const int signal : {SIGTERM, SIGUSR1, SIGUSR2, SIGINT}) {
    EXPECT_EQ(sigismember(&before, signal), sigismember(&after, signal));
  }
}

}  // namespace
}  // namespace tanren::telemetry
