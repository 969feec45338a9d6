#include "tests/coordinator/server/coordinator_under_test.h"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "runtime/base/file.h"
#include "tests/patience.h"

namespace tanren::coordinator {
namespace {

// A store that another holds: closing it leaves the disk.
class OpenedDisk final : public Store {
 public:
  OpenedDisk(MemoryStore& disk, const std::atomic<bool>& full) : disk_(disk), full_(full) {}
  absl::Status Write(const Commit& commit) override {
    if (full_) return absl::ResourceExhaustedError("no space left on the disk");
    return disk_.Write(commit);
  }
  absl::StatusOr<std::vector<HistoryEvent>> Events(uint64_t first, int limit) override {
    return disk_.Events(first, limit);
  }
  absl::StatusOr<std::vector<Record>> Records() override { return disk_.Records(); }
  uint64_t last_sequence() const override { return disk_.last_sequence(); }
  bool needs_new_epoch() const override { return disk_.needs_new_epoch(); }
  absl::Status ForgetEvents(uint64_t first) override { return disk_.ForgetEvents(first); }
  absl::StatusOr<std::unique_ptr<BackupRun>> StartBackup(
      const std::filesystem::path& path) override {
    return disk_.StartBackup(path);
  }

 private:
  MemoryStore& disk_;
  const std::atomic<bool>& full_;
};

std::string TokenIn(const std::filesystem::path& file) {
  return std::string(absl::StripAsciiWhitespace(ReadFile(file).value_or("")));
}

}  // namespace

void Prepare(grpc::ClientContext& context, const std::string& token, double seconds) {
  context.AddMetadata("authorization", "Bearer " + token);
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)));
}

JobSpec SmallJob(const std::string& name) {
  JobSpec spec;
  spec.set_name(name);
  spec.set_project("tests");
  spec.mutable_command()->add_argv("/bin/true");
  Role& role = *spec.add_roles();
  role.set_name("trainer");
  role.set_ranks(1);
  role.mutable_per_rank()->set_cpu_millis(1000);
  spec.set_folder("/tmp");
  return spec;
}

CoordinatorUnderTest::~CoordinatorUnderTest() { Stop(); }

void CoordinatorUnderTest::Start(ServerOptions options) {
  options.listen = address_;
  options.folder = folder_;
  options.loop.core.allow_commands = true;
  auto server =
      Server::Start(std::move(options), [this]() -> absl::StatusOr<std::unique_ptr<Store>> {
        disk_.Crash();  // what was broken is opened anew
        return std::make_unique<OpenedDisk>(disk_, disk_full_);
      });
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  address_ = server_->address();
  admin_token_ = TokenIn(folder_ / "admin.token");
  agent_token_ = TokenIn(folder_ / "agent.token");
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  channel_ = grpc::CreateCustomChannel(address_, grpc::experimental::LocalCredentials(LOCAL_TCP),
                                       arguments);
}

void CoordinatorUnderTest::Stop() { server_.reset(); }

std::string CoordinatorUnderTest::TokenFor(const std::string& user,
                                           const std::vector<std::string>& roles,
                                           const std::string& node) {
  IssueTokenRequest request;
  request.set_request_id("token-of-" + user + node);
  request.set_node(node);
  request.set_user(user);
  for (const std::string& role : roles) request.add_roles(role);
  IssueTokenReply reply;
  grpc::ClientContext context;
  Prepare(context, admin_token_);
  const grpc::Status status = admin()->IssueToken(&context, request, &reply);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return reply.token();
}

std::vector<std::string> CoordinatorUnderTest::Audited(const std::string& text) const {
  std::vector<std::string> lines =
      absl::StrSplit(ReadFile(folder_ / "audit.jsonl").value_or(""), '\n', absl::SkipEmpty());
  std::erase_if(lines, [&](const std::string& line) { return !absl::StrContains(line, text); });
  return lines;
}

uint64_t CoordinatorUnderTest::Submit(const std::string& request_id, grpc::Status* status) {
  SubmitRequest request;
  request.set_request_id(request_id);
  *request.mutable_spec() = SmallJob();
  SubmitReply reply;
  grpc::ClientContext context;
  Prepare(context, admin_token_);
  const grpc::Status answered = jobs()->Submit(&context, request, &reply);
  if (status != nullptr) *status = answered;
  EXPECT_TRUE(status != nullptr || answered.ok()) << answered.error_message();
  return reply.jobs_size() == 0 ? 0 : reply.jobs(0);
}

Job CoordinatorUnderTest::Get(uint64_t job) {
  JobRequest request;
  request.set_job(job);
  JobReply reply;
  grpc::ClientContext context;
  Prepare(context, admin_token_);
  const grpc::Status status = jobs()->Get(&context, request, &reply);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return reply.job();
}

Job CoordinatorUnderTest::WaitFor(uint64_t job, JobState state) {
  Job found;
  Eventually([&] {
    found = Get(job);
    return found.state() == state;
  });
  EXPECT_EQ(JobState_Name(found.state()), JobState_Name(state));
  return found;
}

}  // namespace tanren::coordinator
