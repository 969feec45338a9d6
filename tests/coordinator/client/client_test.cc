#include "coordinator/client/client.h"

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/client/exit_codes.h"
#include "coordinator/client/log_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "tests/coordinator/client/fake_coordinator.h"

namespace tanren::coordinator {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

grpc::Status GoingDown() { return {grpc::StatusCode::UNAVAILABLE, "going down"}; }

SubmitRequest Submission(const std::string& id) {
  SubmitRequest request;
  request.set_request_id(id);
  return request;
}

TEST(Client, SendsAChangeAgainWithTheSameRequestIdUntilItIsTaken) {
  TestFolder folder;
  FakeJobs jobs;
  std::vector<std::string> ids;
  jobs.submit = [&](const SubmitRequest& request, SubmitReply* reply) {
    ids.push_back(request.request_id());
    if (ids.size() < 3) return GoingDown();
    reply->add_jobs(17);
    return grpc::Status::OK;
  };
  FakeCoordinator coordinator(jobs);
  auto client = ValueOrThrow(Client::Open(folder.EndpointAt(coordinator.address())));
  const auto reply = client->Call(client->jobs(), &Jobs::Stub::Submit, Submission("abc"));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_THAT(reply->jobs(), ElementsAre(17));
  EXPECT_THAT(ids, ElementsAre("abc", "abc", "abc"));
  EXPECT_THAT(jobs.authorizations, Each("Bearer tnr_test_secret"));
}

TEST(Client, SendsAgainWhatACoordinatorThatGoesDownHasCancelled) {
  TestFolder folder;
  FakeJobs jobs;
  int calls = 0;
  int cancelled = 2;
  jobs.submit = [&](const SubmitRequest&, SubmitReply* reply) {
    if (++calls <= cancelled) return grpc::Status::CANCELLED;
    reply->add_jobs(17);
    return grpc::Status::OK;
  };
  FakeCoordinator coordinator(jobs);
  Patience patience;
  patience.lost_seconds = 10;
  auto client = ValueOrThrow(Client::Open(folder.EndpointAt(coordinator.address()), patience));
  const auto taken = client->Call(client->jobs(), &Jobs::Stub::Submit, Submission("abc"));
  EXPECT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(calls, 3);
  cancelled = 1'000'000;
  patience.lost_seconds = 0.3;
  client = ValueOrThrow(Client::Open(folder.EndpointAt(coordinator.address()), patience));
  const auto lost = client->Call(client->jobs(), &Jobs::Stub::Submit, Submission("abc"));
  EXPECT_EQ(ExitCodeOf(lost.status()), kUnreachable);
  EXPECT_THAT(std::string(lost.status().message()), HasSubstr("it is going down"));
}

TEST(Client, OutlivesACoordinatorThatRestarts) {
  TestFolder folder;
  FakeJobs jobs;
  jobs.get = [](const JobRequest& request, JobReply* reply) {
    reply->mutable_job()->set_id(request.job());
    return grpc::Status::OK;
  };
  std::optional<FakeCoordinator> coordinator(std::in_place, jobs);
  const std::string address = coordinator->address();
  auto client = ValueOrThrow(Client::Open(folder.EndpointAt(address)));
  JobRequest request;
  request.set_job(3);
  ASSERT_TRUE(client->Call(client->jobs(), &Jobs::Stub::Get, request).ok());
  coordinator.reset();
  std::thread restart([&] {
    // Longer than a coordinator that was never reached is waited for.
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));
    coordinator.emplace(jobs, address);
  });
  const auto reply = client->Call(client->jobs(), &Jobs::Stub::Get, request);
  restart.join();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->job().id(), 3u);
}

TEST(Client, SaysWhereNoCoordinatorIsAndWhatToDo) {
  TestFolder folder;
  Patience patience;
  patience.unreached_seconds = 0.2;
  auto client = ValueOrThrow(Client::Open(folder.EndpointAt("127.0.0.1:1"), patience));
  const auto start = std::chrono::steady_clock::now();
  const auto reply = client->Call(client->jobs(), &Jobs::Stub::Status, StatusRequest());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_EQ(ExitCodeOf(reply.status()), kUnreachable);
  EXPECT_THAT(std::string(reply.status().message()),
              HasSubstr("no coordinator at 127.0.0.1:1: start one with `tanren up`"));
}

TEST(Client, DoesNotRepeatWhatWasRefused) {
  TestFolder folder;
  FakeJobs jobs;
  int calls = 0;
  jobs.submit = [&](const SubmitRequest&, SubmitReply*) {
    ++calls;
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "quota of user/alice: 4 GPUs");
  };
  FakeCoordinator coordinator(jobs);
  auto client = ValueOrThrow(Client::Open(folder.EndpointAt(coordinator.address())));
  const auto reply = client->Call(client->jobs(), &Jobs::Stub::Submit, Submission("abc"));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(ExitCodeOf(reply.status()), kTryLater);
  EXPECT_EQ(reply.status().message(), "quota of user/alice: 4 GPUs");
}

TEST(Client, RequestIdsDiffer) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(NewRequestId());
  EXPECT_EQ(ids.size(), 1000u);
  EXPECT_EQ(ids.begin()->size(), 32u);
}

// ---- Logs
// ----------------------------------------------------------------------------------------

LogReply Piece(int rank, uint64_t offset, const std::string& data) {
  LogReply reply;
  reply.set_attempt(1);
  reply.set_rank(rank);
  reply.set_offset(offset);
  reply.set_data(data);
  return reply;
}

// What `query` shows of logs that `read_log` answers, of a job that has succeeded unless `get` says
// otherwise.
std::string Shown(FakeJobs& jobs, const LogQuery& query, bool raw) {
  TestFolder folder;
  const auto succeeded = [](const JobRequest&, JobReply* reply) {
    reply->mutable_job()->set_state(SUCCEEDED);
    reply->mutable_job()->set_attempts(1);
    return grpc::Status::OK;
  };
  if (!jobs.get) jobs.get = succeeded;
  FakeCoordinator coordinator(jobs);
  auto client = ValueOrThrow(Client::Open(folder.EndpointAt(coordinator.address())));
  char* text = nullptr;
  size_t size = 0;
  FILE* out = open_memstream(&text, &size);
  LogPrinter printer(out, raw, query.rank < 0);
  ThrowIfError(ReadLogs(*client, query, printer));
  fclose(out);
  std::string shown(text, size);
  free(text);
  return shown;
}

TEST(Logs, GoOnWhereTheStreamBroke) {
  FakeJobs jobs;
  std::vector<uint64_t> offsets;
  jobs.read_log = [&](const LogRequest& request, grpc::ServerWriter<LogReply>* writer) {
    offsets.push_back(request.offset());
    if (offsets.size() == 1) {
      writer->Write(Piece(0, 0, "one\ntw"));
      return GoingDown();
    }
    writer->Write(Piece(0, 6, "o\nthree\n"));
    return grpc::Status::OK;
  };
  LogQuery query;
  query.follow = true;
  EXPECT_EQ(Shown(jobs, query, /*raw=*/true), "one\ntwo\nthree\n");
  EXPECT_THAT(offsets, ElementsAre(0, 6));
}

// As when a coordinator goes on from a backup: it numbers attempts on from far beyond.
TEST(Logs, GoOnWithTheNextAttemptThatThereIs) {
  FakeJobs jobs;
  std::vector<uint32_t> attempts;
  bool is_restored = false;
  jobs.read_log = [&](const LogRequest& request, grpc::ServerWriter<LogReply>* writer) {
    attempts.push_back(request.attempt());
    const auto write = [writer](uint32_t attempt, const std::string& text) {
      LogReply piece = Piece(0, 0, text);
      piece.set_attempt(attempt);
      writer->Write(piece);
    };
    if (!is_restored) {
      write(3, "three\n");
      is_restored = true;
      return GoingDown();
    }
    if (request.attempt() == 1002) {
      write(1002, "and on\n");
      return grpc::Status::OK;
    }
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "job 7 has no such attempt");
  };
  int asked = 0;
  jobs.get = [&](const JobRequest&, JobReply* reply) {
    Job& job = *reply->mutable_job();
    job.set_attempts(1001);
    job.mutable_attempt()->mutable_token()->set_attempt(1);
    job.set_state(PENDING);
    if (++asked == 1) return grpc::Status::OK;
    *job.add_earlier_attempts() = job.attempt();
    job.set_attempts(1002);
    job.mutable_attempt()->mutable_token()->set_attempt(1002);
    job.set_state(SUCCEEDED);
    return grpc::Status::OK;
  };
  LogQuery query;
  query.follow = true;
  EXPECT_EQ(Shown(jobs, query, /*raw=*/true), "three\nand on\n");
  EXPECT_THAT(attempts, ElementsAre(0, 3, 1002));
}

TEST(Logs, OfSeveralRanksShowNoByteTwiceAfterABreak) {
  FakeJobs jobs;
  int streams = 0;
  jobs.read_log = [&](const LogRequest&, grpc::ServerWriter<LogReply>* writer) {
    writer->Write(Piece(0, 0, "a\n"));
    writer->Write(Piece(1, 0, "b\nhal"));
    if (++streams == 1) return GoingDown();
    writer->Write(Piece(1, 5, "f\n"));
    writer->Write(Piece(0, 2, "c\n"));
    return grpc::Status::OK;
  };
  LogQuery query;
  query.rank = -1;
  EXPECT_EQ(Shown(jobs, query, /*raw=*/false), "[0] a\n[1] b\n[1] half\n[0] c\n");
}

TEST(Logs, CannotCommandTheTerminalUnlessRaw) {
  FakeJobs jobs;
  jobs.read_log = [&](const LogRequest&, grpc::ServerWriter<LogReply>* writer) {
    writer->Write(Piece(0, 0, "\x1b]0;owned\x07 caf\xc3"));
    writer->Write(Piece(0, 15, "\xa9\n"));
    return grpc::Status::OK;
  };
  EXPECT_EQ(Shown(jobs, {}, /*raw=*/false), "\\x1b]0;owned\\x07 caf\xc3\xa9\n");
  EXPECT_EQ(Shown(jobs, {}, /*raw=*/true), "\x1b]0;owned\x07 caf\xc3\xa9\n");
}

}  // namespace
}  // namespace tanren::coordinator
