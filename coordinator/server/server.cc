#include "coordinator/server/server.h"

#include <condition_variable>
#include <thread>
#include <utility>
#include <vector>

#include "coordinator/server/admin_service.h"
#include "coordinator/server/admission.h"
#include "coordinator/server/agents_service.h"
#include "coordinator/server/first_tokens.h"
#include "coordinator/server/jobs_service.h"
#include "coordinator/server/metrics_sources.h"
#include "coordinator/server/token_check.h"
#include "coordinator/wire/channel.h"
#include "coordinator/wire/protocol.h"
#include "fmt/format.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/resource_quota.h"
#include "grpcpp/server_builder.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

constexpr std::chrono::milliseconds kLookEvery{200};
constexpr int kLooksBetweenTokens = 5;
// Of a connection that says nothing, and of one that nobody calls by.
constexpr int kHandshakeMs = 10'000;
constexpr int kIdleMs = 10 * 60'000;
// For connections and messages, together.
constexpr size_t kMemory = size_t{1} << 30;
constexpr int kStreamsOfConnection = 1024;
constexpr int kLongestMetadata = 16 << 10;

void Configure(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kLongestMessage);
  builder.SetMaxSendMessageSize(kLongestMessage);
  // Two servers on one port would each get a part of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsOfConnection);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kLongestMetadata);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMs);
  // A peer that vanished without a word is known after these together; its own pings are allowed.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1'000);
  grpc::ResourceQuota quota("coordinator");
  quota.Resize(kMemory);
  builder.SetResourceQuota(quota);
}

}  // namespace

class Server::Services {
 public:
  Services(const CoreOptions& core_options, Server& server)
      : admission(server.credentials_),
        parts{core_options,        admission,
              *server.loop_,       *server.explainer_,
              server.agents_,      *server.streams_,
              *server.tasks_,      *server.slow_tasks_,
              server.audit_.get(), server.options_.certificate_expires_ms},
        jobs(parts),
        admin(parts, server.credentials_),
        agents(parts) {}

  Admission admission;
  CoordinatorParts parts;
  JobsService jobs;
  AdminService admin;
  AgentsService agents;
};

Server::Server(ServerOptions options)
    : options_(std::move(options)),
      credentials_([] { return SystemNow().wall_ms; }),
      streams_(std::make_shared<OpenStreams>(options_.stream_limit)) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(ServerOptions options, Loop::OpenStore open) {
  std::unique_ptr<Server> server(new Server(std::move(options)));
  server->tasks_ = std::make_unique<TaskThread>(kLookEvery, [raw = server.get()] { raw->Look(); });
  server->slow_tasks_ = std::make_unique<TaskThread>(std::chrono::hours(1), nullptr);
  LoopListener listener;
  listener.orders = [raw = server.get()](const std::string& node, const Orders& orders) {
    raw->agents_.SendOrders(node, orders);
  };
  listener.rejoin = [raw = server.get()] {
    raw->agents_.EndAll(absl::UnavailableError("the coordinator went on from its history"));
  };
  listener.opened = [raw = server.get()](Store& store, const std::vector<Record>& records) {
    return raw->OnOpened(store, records);
  };
  CountInto(server->metrics_, listener);
  TANREN_ASSIGN_OR_RETURN(server->loop_,
                          Loop::Start(server->options_.loop, std::move(open), std::move(listener)));
  server->explainer_ = std::make_unique<Explainer>(*server->loop_);
  if (!server->options_.folder.empty()) {
    TANREN_ASSIGN_OR_RETURN(server->audit_, AuditLog::Open(server->options_.folder));
  }
  TANREN_RETURN_IF_ERROR(server->Listen());
  return server;
}

absl::Status Server::OnOpened(Store& store, const std::vector<Record>& records) {
  TANREN_RETURN_IF_ERROR(credentials_.Load(records));
  if (options_.folder.empty()) return absl::OkStatus();
  return MakeFirstTokens(credentials_, store, options_.folder);
}

absl::Status Server::Listen() {
  services_ = std::make_unique<Services>(options_.loop.core, *this);
  std::shared_ptr<grpc::ServerCredentials> security = options_.security;
  if (security == nullptr) {
    if (!IsLoopback(options_.listen)) {
      return absl::InvalidArgumentError(
          fmt::format("{} is reached from other machines: that takes TLS, see --tls-certificate",
                      options_.listen));
    }
    security = grpc::experimental::LocalServerCredentials(
        options_.listen.starts_with("unix:") ? UDS : LOCAL_TCP);
  }
  security->SetAuthMetadataProcessor(std::make_shared<TokenCheck>(credentials_));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  Configure(builder);
  int port = 0;
  builder.AddListeningPort(options_.listen, security, &port);
  builder.RegisterService(&services_->jobs);
  builder.RegisterService(&services_->admin);
  builder.RegisterService(&services_->agents);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port == 0) {
    return absl::UnavailableError(
        fmt::format("can't listen on {}: it is in use, or not of this machine", options_.listen));
  }
  {
    const std::lock_guard lock(look_mutex_);
    listening_ = true;
  }
  address_ = options_.listen;
  if (!address_.starts_with("unix:")) {
    address_ = fmt::format("{}:{}", address_.substr(0, address_.rfind(':')), port);
  }
  return absl::OkStatus();
}

absl::Status Server::ServeMetrics(const std::string& address) {
  return metrics_.Listen(address,
                         SourcesOf(
                             *loop_, [this] { return streams(); }, [this] { return agents(); },
                             options_.certificate_expires_ms));
}

void Server::Look() {
  for (const auto& stream : streams_->All()) stream->Look();
  if (++looks_ % kLooksBetweenTokens == 0) {
    streams_->EndUnlessGood(
        [this](const std::string& token) { return credentials_.Standing(token); });
  }
  const std::lock_guard lock(look_mutex_);
  if (!listening_) return;
  if (auto* health = server_->GetHealthCheckService()) {
    health->SetServingStatus(loop_->accepting().ok());
  }
}

void Server::Shutdown(std::chrono::milliseconds limit) {
  if (down_ || server_ == nullptr) return;
  down_ = true;
  const auto begin = std::chrono::system_clock::now();
  // Single calls end with the loop and the explainer, which answer all that waits.
  loop_->Stop();
  explainer_->Stop();
  streams_->EndAll({grpc::StatusCode::UNAVAILABLE, "the coordinator is going down"});
  // Who takes nothing is cut off.
  std::thread cut([this, begin, limit] {
    std::unique_lock lock(down_mutex_);
    down_changed_.wait_until(lock, begin + limit / 2, [this] { return ended_; });
    if (!ended_) streams_->CancelAll();
  });
  server_->Shutdown(begin + limit * 3 / 4);
  {
    const std::lock_guard lock(down_mutex_);
    ended_ = true;
  }
  down_changed_.notify_all();
  cut.join();
}

Server::~Server() {
  Shutdown();
  metrics_.Close();
  {
    const std::lock_guard lock(look_mutex_);
    listening_ = false;
  }
  // Whatever was started goes in the order of who uses whom.
  server_.reset();
  services_.reset();
  if (loop_ != nullptr) loop_->Stop();
  explainer_.reset();
  slow_tasks_.reset();
  tasks_.reset();
  loop_.reset();
}

}  // namespace tanren::coordinator
