// Whether a node reaches the others of its gang: against sockets of this machine.
#include "coordinator/launch/local/reach_check.h"

#include <poll.h>
#include <sys/socket.h>

#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kBegin = 1'000'000;

// A port of this machine, on which nobody listens before Listen().
class Port {
 public:
  Port() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    NumericAddress any = *ParseAddress("127.0.0.1:1");
    SetPort(any, 0);
    EXPECT_EQ(bind(socket_.get(), any.get(), any.size), 0);
    address_.size = sizeof(address_.storage);
    getsockname(socket_.get(), address_.get(), &address_.size);
  }
  void Listen(int waiting) { EXPECT_EQ(listen(socket_.get(), waiting), 0); }
  // The kernel drops what asks for a connection once so many wait to be accepted.
  void AnswerNobody() {
    Listen(0);
    for (bool answers = true; answers;) {
      Descriptor& waiting =
          waiting_.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      if (connect(waiting.get(), address_.get(), address_.size) == 0) continue;
      pollfd ready = {waiting.get(), POLLOUT, 0};
      answers = poll(&ready, 1, 200) > 0;
    }
  }
  void Accept() { Descriptor(accept(socket_.get(), nullptr, nullptr)).Close(); }
  std::string where() const { return TextOf(address_); }

 private:
  Descriptor socket_;
  NumericAddress address_;
  std::vector<Descriptor> waiting_;
};

SupervisorSpec GangOf(const std::vector<std::pair<std::string, std::string>>& others) {
  SupervisorSpec spec;
  spec.set_node("own");
  spec.mutable_part()->add_placements()->set_node("own");
  (*spec.mutable_part()->mutable_reach())["own"] = "240.0.0.1:9";
  for (const auto& [node, where] : others) {
    spec.mutable_part()->add_placements()->set_node(node);
    if (!where.empty()) (*spec.mutable_part()->mutable_reach())[node] = where;
  }
  return spec;
}

// Looks, by a clock that stands still, until the check is over, or the kernel must have answered.
void LookAt(ReachCheck& check, int64_t now_ms) {
  for (int i = 0; i < 300 && !check.is_done() && !check.unreached().has_value(); ++i) {
    check.Look(now_ms);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

TEST(ReachCheck, WhoListensAndWhoWouldIsReached) {
  Port listens, refuses;
  listens.Listen(5);
  ReachCheck check(GangOf({{"listens", listens.where()}, {"refuses", refuses.where()}}));
  EXPECT_FALSE(check.is_done());
  LookAt(check, kBegin);
  EXPECT_TRUE(check.is_done());
  EXPECT_FALSE(check.unreached().has_value());
}

TEST(ReachCheck, WhoDoesNotAnswerWithinTheTimeIsNamed) {
  Port listens, silent;
  listens.Listen(5);
  silent.AnswerNobody();
  ReachCheck check(GangOf({{"listens", listens.where()}, {"silent", silent.where()}}));
  for (const int64_t after : {0, 1, 10'000, 19'999}) check.Look(kBegin + after);
  EXPECT_FALSE(check.unreached().has_value()) << "it might answer still";
  check.Look(kBegin + kReachWithinMs);
  ASSERT_TRUE(check.unreached().has_value());
  EXPECT_EQ(check.unreached()->node, "silent");
  EXPECT_EQ(check.unreached()->where, silent.where());
  EXPECT_EQ(check.unreached()->why, "no answer within 20 s");
}

TEST(ReachCheck, ARouteThatIsMissingForAMomentIsTriedAgainAndThenNamed) {
  // Of class E: no kernel has a way there.
  ReachCheck check(GangOf({{"nowhere", "255.255.255.255:9"}}), 3'000);
  for (int64_t after = 0; after < 3'000; after += 500) {
    check.Look(kBegin + after);
    EXPECT_FALSE(check.unreached().has_value()) << after;
  }
  check.Look(kBegin + 3'000);
  ASSERT_TRUE(check.unreached().has_value());
  EXPECT_THAT(check.unreached()->why, HasSubstr("within 3 s"));
  EXPECT_THAT(check.unreached()->why, ::testing::Not(HasSubstr("no answer")));
}

TEST(ReachCheck, WhoSaysNothingOfThatIsNotTried) {
  EXPECT_TRUE(ReachCheck(GangOf({})).is_done());
  EXPECT_TRUE(ReachCheck(GangOf({{"old", ""}, {"later", "by carrier pigeon"}})).is_done());
}

TEST(ReachCheck, AllOfALargeGangAreTriedThoughNotAtOnce) {
  std::vector<Port> ports(150);
  std::vector<std::pair<std::string, std::string>> others;
  for (size_t i = 0; i < ports.size(); ++i) {
    ports[i].Listen(1);
    others.emplace_back("n" + std::to_string(i), ports[i].where());
  }
  ReachCheck check(GangOf(others));
  LookAt(check, kBegin);
  EXPECT_TRUE(check.is_done());
  for (Port& port : ports) port.Accept();  // hangs for one that wasn't tried
}

TEST(NumericAddress, IsReadAsItIsWritten) {
  for (const char* text : {"10.77.0.1:7411", "[fd00::7]:65535", "[::1]:1"}) {
    const auto address = ParseAddress(text);
    ASSERT_TRUE(address.ok()) << text;
    EXPECT_EQ(TextOf(*address), text);
  }
  for (const char* text : {"", ":", "10.77.0.1", "10.77.0.1:", "10.77.0.1:0", "10.77.0.1:65536",
                           "localhost:1", "10.77.0.1:x", "[::1]"}) {
    EXPECT_EQ(ParseAddress(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace tanren::coordinator
