// The port on which others try whether they reach this machine.
#include "coordinator/agent/reach_listener.h"

#include <sys/socket.h>
#include <unistd.h>

#include "coordinator/launch/local/numeric_address.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tanren::coordinator {
namespace {

using ::testing::MatchesRegex;

// Whether a connection to `where` comes through, and is let go.
bool IsReached(const std::string& where) {
  const auto address = ParseAddress(where);
  if (!address.ok()) return false;
  const Descriptor connection(socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  char byte = 0;
  return connect(connection.get(), address->get(), address->size) == 0 &&
         read(connection.get(), &byte, 1) == 0;
}

TEST(ReachListener, IsReachedAsOftenAsOneLikesUntilItEnds) {
  std::string where;
  {
    const auto listener = ReachListener::Open("127.0.0.1", 0);
    ASSERT_TRUE(listener.ok()) << listener.status();
    where = (*listener)->where();
    EXPECT_THAT(where, MatchesRegex("127\\.0\\.0\\.1:[0-9]+"));
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(IsReached(where));
  }
  EXPECT_FALSE(IsReached(where));
}

TEST(ReachListener, ANameStandsForItsAddress) {
  const auto listener = ReachListener::Open("localhost", 0);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_TRUE(IsReached((*listener)->where()));
}

TEST(ReachListener, AnAddressThatOnlyOthersKnowIsToldAsItIs) {
  const auto listener = ReachListener::Open("192.0.2.7", 0);
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string where = (*listener)->where();
  EXPECT_THAT(where, MatchesRegex("192\\.0\\.2\\.7:[0-9]+"));
  EXPECT_TRUE(IsReached("127.0.0.1" + where.substr(where.rfind(':'))));
}

TEST(ReachListener, SaysWhatItCantHave) {
  const auto first = ReachListener::Open("127.0.0.1", 0);
  ASSERT_TRUE(first.ok()) << first.status();
  const int taken = PortOf(*ParseAddress((*first)->where()));
  EXPECT_EQ(ReachListener::Open("127.0.0.1", taken).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReachListener::Open("", 0).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tanren::coordinator
