// What Prometheus reads.
#include "coordinator/server/metrics.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tanren::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The body of an HTTP GET of /metrics.
std::string Scrape(int port) {
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::string request = "GET /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(write(connection, request.data(), request.size()),
            static_cast<ssize_t>(request.size()));
  std::string reply;
  char buffer[4096];
  // The server closes the connection only after a while.
  size_t wanted = std::string::npos;
  for (ssize_t got = 0;
       reply.size() < wanted && (got = read(connection, buffer, sizeof(buffer))) > 0;) {
    reply.append(buffer, static_cast<size_t>(got));
    const std::string field = "Content-Length: ";
    const size_t head_end = reply.find("\r\n\r\n");
    const size_t length = reply.find(field);
    if (head_end != std::string::npos && length < head_end) {
      wanted = head_end + 4 + std::stoul(reply.substr(length + field.size()));
    }
  }
  close(connection);
  return reply;
}

Metrics::Sources Sources(absl::StatusOr<StatusReply> status) {
  return {[status] { return status; }, [] { return size_t{7}; }, [] { return size_t{2}; },
          [] { return size_t{3}; }};
}

TEST(Metrics, GaugesAreAskedForAtEachScrape) {
  StatusReply status;
  (*status.mutable_jobs_by_state())["RUNNING"] = 4;
  status.set_nodes_silent(1);
  status.mutable_capacity()->set_gpus(80'000);
  status.mutable_free()->set_gpus(12);
  status.set_accepting(true);
  Metrics metrics;
  ASSERT_TRUE(metrics.Listen("127.0.0.1:0", Sources(status)).ok());
  const std::string text = Scrape(metrics.port());
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_up 1"));
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_accepting 1"));
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_jobs{state=\"RUNNING\"} 4"));
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_jobs{state=\"PENDING\"} 0"));
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_nodes{state=\"SILENT\"} 1"));
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_capacity_gpus 80000"));
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_free_gpus 12"));
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_queued_inputs 7"));
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_connected_agents 3"));
}

TEST(Metrics, WithoutAStateTheRestIsStillShown) {
  Metrics metrics;
  ASSERT_TRUE(metrics.Listen("127.0.0.1:0", Sources(absl::UnavailableError("going down"))).ok());
  const std::string text = Scrape(metrics.port());
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_up 0"));
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_queued_inputs 7"));
  EXPECT_THAT(text, Not(HasSubstr("tanren_coordinator_jobs{")));
}

TEST(Metrics, WhatHappensIsCounted) {
  Metrics metrics;
  ASSERT_TRUE(metrics.Listen("127.0.0.1:0", Sources(StatusReply())).ok());
  metrics.CountInput(SubmitInput{});
  metrics.CountInput(TickInput{});
  metrics.CountInput(TickInput{});
  metrics.CountCommit(0.004, 5, true);
  metrics.CountCommit(0.004, 9, false);
  metrics.CountPass(0.03);
  const std::string text = Scrape(metrics.port());
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_inputs_total{kind=\"submit\"} 1"));
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_inputs_total{kind=\"tick\"} 2"));
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_commits_total{outcome=\"durable\"} 1"));
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_commits_total{outcome=\"failed\"} 1"));
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_events_total 5"));
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_commit_seconds_bucket{le=\"0.005\"} 2"));
  EXPECT_THAT(text, HasSubstr("tanren_coordinator_pass_seconds_count 1"));
}

TEST(Metrics, AnAddressThatIsTakenIsAnError) {
  Metrics first, second;
  ASSERT_TRUE(first.Listen("127.0.0.1:0", Sources(StatusReply())).ok());
  const std::string taken = fmt::format("127.0.0.1:{}", first.port());
  EXPECT_THAT(second.Listen(taken, Sources(StatusReply())).ToString(), HasSubstr(taken));
}

}  // namespace
}  // namespace tanren::coordinator
