#include "runtime/comm/tcp_meeting.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>
#include <vector>

namespace tanren::comm {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

// One that nobody listens on; the system doesn't give it out again soon.
int FreePort() {
  const int probe = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  bind(probe, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size);
  close(probe);
  return ntohs(address.sin_port);
}

LaunchedRank Rank(int rank, int size, int port, const std::string& job = "job") {
  LaunchedRank launched;
  launched.rank = rank;
  launched.size = size;
  launched.host = "127.0.0.1";
  launched.port = port;
  launched.job = job;
  return launched;
}

using Outcomes = std::vector<absl::StatusOr<std::string>>;

Outcomes Meet(const std::vector<LaunchedRank>& ranks, const std::string& text,
              milliseconds timeout) {
  Outcomes outcomes(ranks.size(), absl::UnknownError("not run"));
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < ranks.size(); ++i) {
    threads.emplace_back([&, i] {
      outcomes[i] = ShareFromRankZero(ranks[i], ranks[i].rank == 0 ? text : "", timeout);
    });
  }
  threads.clear();
  return outcomes;
}

constexpr milliseconds kEnough{30000};

std::string Message(const absl::StatusOr<std::string>& outcome) {
  return std::string(outcome.status().message());
}

// A connection that says `text` and stays.
int Intruder(int port, const std::string& text) {
  const int intruder = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  while (connect(intruder, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    std::this_thread::yield();
  }
  (void)!send(intruder, text.data(), text.size(), MSG_NOSIGNAL);
  return intruder;
}

TEST(TcpMeeting, EveryRankGetsWhatRankZeroHas) {
  const int port = FreePort();
  const std::string id("binary\0text", 11);
  std::vector<LaunchedRank> ranks;
  for (int rank = 0; rank < 5; ++rank) ranks.push_back(Rank(rank, 5, port));
  for (const auto& outcome : Meet(ranks, id, kEnough)) {
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_EQ(*outcome, id);
  }
}

TEST(TcpMeeting, OneRankAloneMeetsNobody) {
  EXPECT_EQ(*ShareFromRankZero(Rank(0, 1, 0), "id", milliseconds(0)), "id");
}

TEST(TcpMeeting, RanksThatDontComeAreNamedOnAll) {
  const int port = FreePort();
  const Outcomes outcomes = Meet({Rank(0, 4, port), Rank(2, 4, port)}, "id", milliseconds(300));
  EXPECT_TRUE(absl::IsDeadlineExceeded(outcomes[0].status())) << outcomes[0].status();
  EXPECT_THAT(Message(outcomes[0]), HasSubstr("2 of 4 ranks did not come to 127.0.0.1:"));
  EXPECT_THAT(Message(outcomes[0]), HasSubstr("among them rank 1, 3"));
  // The rank that came hears of those that didn't.
  EXPECT_THAT(Message(outcomes[1]), HasSubstr("rank 0 says: 2 of 4 ranks did not come"));
}

TEST(TcpMeeting, WithoutRankZeroTheOthersGiveUp) {
  const Outcomes outcomes = Meet({Rank(1, 2, FreePort())}, "", milliseconds(200));
  EXPECT_TRUE(absl::IsDeadlineExceeded(outcomes[0].status()));
  EXPECT_THAT(Message(outcomes[0]), HasSubstr("rank 1 had no answer from rank 0 at 127.0.0.1:"));
}

TEST(TcpMeeting, AnotherWorldSizeIsAnErrorOnBoth) {
  const int port = FreePort();
  for (const auto& outcome : Meet({Rank(0, 3, port), Rank(1, 2, port)}, "id", kEnough)) {
    EXPECT_TRUE(absl::IsInvalidArgument(outcome.status()));
    EXPECT_THAT(Message(outcome),
                HasSubstr("rank 1 was started as one of 2 ranks, rank 0 as one of 3"));
  }
}

TEST(TcpMeeting, TwoRanksOfOneNumberAreAnErrorOnAll) {
  const int port = FreePort();
  for (const auto& outcome :
       Meet({Rank(0, 3, port), Rank(1, 3, port), Rank(1, 3, port)}, "id", kEnough)) {
    EXPECT_TRUE(absl::IsInvalidArgument(outcome.status()));
    EXPECT_THAT(Message(outcome), HasSubstr("two processes were started as rank 1"));
  }
}

TEST(TcpMeeting, StrangersAndOtherJobsDontDisturb) {
  const int port = FreePort();
  std::vector<int> intruders;
  std::jthread others([&] {
    intruders = {Intruder(port, "GET / HTTP/1.1\r\n\r\n"), Intruder(port, ""),
                 Intruder(port, "TANRMTG1")};
    const auto lost = ShareFromRankZero(Rank(1, 2, port, "another job"), "", kEnough);
    EXPECT_TRUE(absl::IsInvalidArgument(lost.status()));
    EXPECT_THAT(Message(lost),
                HasSubstr("this is the meeting of job 'job', not of job 'another job'"));
    EXPECT_EQ(*ShareFromRankZero(Rank(1, 2, port), "", kEnough), "id");
  });
  EXPECT_EQ(*ShareFromRankZero(Rank(0, 2, port), "id", kEnough), "id");
  others.join();
  for (const int intruder : intruders) close(intruder);
}

TEST(TcpMeeting, TooMuchIsNotShared) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      ShareFromRankZero(Rank(0, 2, 1), std::string(kMostSharedBytes + 1, 'x'), milliseconds(0))
          .status()));
}

}  // namespace
}  // namespace tanren::comm
