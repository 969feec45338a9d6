#include "runtime/telemetry/peer_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/runtime/telemetry/child_process.h"

namespace tanren::telemetry {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int64_t kNow = 1'000'000'000'000;

FlightRecord Rank(int rank, RankStatus status = RankStatus::kRunning, bool gone = false) {
  FlightRecord record;
  record.rank = rank;
  record.status = status;
  record.gone = gone;
  return record;
}

std::optional<std::string> Reason(const FlightRecord& own, const FlightRecord& peer,
                                  milliseconds timeout = milliseconds(3000)) {
  return ReasonToEnd(std::vector<FlightRecord>{own, peer}, own.rank, kNow, timeout);
}

TEST(ReasonToEnd, IsAPeerThatFailedOrDied) {
  EXPECT_EQ(Reason(Rank(0), Rank(1)), std::nullopt);
  EXPECT_EQ(Reason(Rank(0), Rank(1, RankStatus::kFailed)), "rank 1 failed");
  EXPECT_EQ(Reason(Rank(0), Rank(1, RankStatus::kRunning, /*gone=*/true)), "rank 1 died");
  // One that has finished may be gone, and one that was ended from outside has told why.
  EXPECT_EQ(Reason(Rank(0), Rank(1, RankStatus::kFinished, /*gone=*/true)), std::nullopt);
  EXPECT_EQ(Reason(Rank(0), Rank(1, RankStatus::kTerminated, /*gone=*/true)), std::nullopt);
  // Its own failure is for itself to report.
  EXPECT_EQ(Reason(Rank(0, RankStatus::kFailed), Rank(1)), std::nullopt);
}

TEST(ReasonToEnd, IsACallOfItsOwnThatLastsTooLong) {
  FlightRecord own = Rank(0);
  own.calls = {{"world", "all-gather", "model.layers.3", "Float", 17}};
  own.calls[0].start_ns = kNow - 3'000'000'001;
  EXPECT_EQ(Reason(own, Rank(1)), "all-gather #17 of 'model.layers.3' has lasted more than 3 s");
  EXPECT_EQ(Reason(own, Rank(1), milliseconds(3001)), std::nullopt);
  EXPECT_EQ(Reason(own, Rank(1), milliseconds(0)), std::nullopt) << "0: for ever";
  own.calls[0].state = CallState::kDone;
  EXPECT_EQ(Reason(own, Rank(1)), std::nullopt);
}

class PeerWatchTest : public ::testing::Test {
 protected:
  PeerWatchTest() { fs::remove_all(folder_); }

  std::unique_ptr<FlightRecorder> NewRecorder(int rank) const {
    return *FlightRecorder::Create(
        {.folder = folder_, .rank = rank, .world_size = 2, .launch = "watched"});
  }

  // Rank 1 in a child too: a process with a recorder has its heartbeat's thread, and a sanitizer
  // refuses new threads in what forks from one.
  ChildProcess Peer() const {
    return ChildProcess([this](const std::function<void()>& ready) {
      const auto recorder = NewRecorder(1);
      ready();
      while (true) pause();
      return 0;
    });
  }

  // Rank 0 in a child, waiting for its peer in a collective until its watch ends it.
  ChildProcess Watched(milliseconds timeout) const {
    return ChildProcess([this, timeout](const std::function<void()>& ready) {
      const auto recorder = NewRecorder(0);
      recorder->Enter({"world", "all-gather", "model.layers.3", "Float", 17});
      const PeerWatch watch(*recorder,
                            {.interval = milliseconds(10), .collective_timeout = timeout});
      ready();
      while (true) pause();
      return 0;
    });
  }

  const fs::path folder_ =
      fs::path(testing::TempDir()) /
      (std::string("peer_watch_") + testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(PeerWatchTest, ADeadPeerEndsTheProcessWithAnExplanation) {
  ChildProcess peer = Peer();
  ChildProcess watched = Watched(milliseconds(0));
  peer.Signal(SIGKILL);
  peer.Wait();
  EXPECT_EQ(watched.Wait(), kPeerFailedExitCode);
  EXPECT_THAT(watched.Errors(),
              testing::AllOf(testing::HasSubstr("tanren: rank 1 died without an exit record"),
                             testing::HasSubstr("rank 0 waited in all-gather #17 of "
                                                "'model.layers.3'")));
  EXPECT_EQ(ReadFlightRecords(folder_, "watched")->at(0).failure, "rank 1 died");
}

TEST_F(PeerWatchTest, ACallWithoutEndEndsTheProcess) {
  const ChildProcess peer = Peer();
  ChildProcess watched = Watched(milliseconds(50));
  EXPECT_EQ(watched.Wait(), kPeerFailedExitCode);
  EXPECT_THAT(
      watched.Errors(),
      testing::HasSubstr("tanren: rank 1 never entered all-gather #17 of 'model.layers.3'"));
}

TEST_F(PeerWatchTest, ALivingPeerIsLeftAlone) {
  const ChildProcess peer = Peer();
  ChildProcess child([this](const std::function<void()>& ready) {
    const auto recorder = NewRecorder(0);
    {
      const PeerWatch watch(*recorder, {.interval = milliseconds(1)});
      std::this_thread::sleep_for(milliseconds(100));
    }
    recorder->Finish();
    return 0;
  });
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_EQ(child.Errors(), "");
}

}  // namespace
}  // namespace tanren::telemetry
