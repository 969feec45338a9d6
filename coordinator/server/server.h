// A whole coordinator: its store, its loop and its services on one address.
#ifndef TANREN_COORDINATOR_SERVER_SERVER_H_
#define TANREN_COORDINATOR_SERVER_SERVER_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/server/agent_hub.h"
#include "coordinator/server/audit.h"
#include "coordinator/server/credentials.h"
#include "coordinator/server/explainer.h"
#include "coordinator/server/loop.h"
#include "coordinator/server/metrics.h"
#include "coordinator/server/open_streams.h"
#include "coordinator/server/task_thread.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"

namespace tanren::coordinator {

struct ServerOptions {
  LoopOptions loop;
  std::string listen = "127.0.0.1:0";
  // Null: loopback's, which take no other address.
  std::shared_ptr<grpc::ServerCredentials> security;
  // When its certificate ends, since the epoch, for those who ask how it is; null: it has none.
  std::function<int64_t()> certificate_expires_ms;
  size_t stream_limit = 20'000;
  // Where the first start leaves admin.token and agent.token, and the audit is kept; empty:
  // neither.
  std::filesystem::path folder;
};

class Server {
 public:
  // Opens the store, goes on from what it holds, and listens. Errors say what of it failed.
  static absl::StatusOr<std::unique_ptr<Server>> Start(ServerOptions options, Loop::OpenStore open);
  // Shuts down.
  ~Server();

  // "127.0.0.1:7411", with the port that the kernel chose where none was given.
  const std::string& address() const { return address_; }
  // Lets Prometheus read on an address of its own; kUnavailable. At most once.
  absl::Status ServeMetrics(const std::string& address);
  int metrics_port() const { return metrics_.port(); }
  Loop& loop() { return *loop_; }
  Credentials& credentials() { return credentials_; }
  size_t streams() const { return streams_->size(); }
  size_t agents() const { return agents_.size(); }

  // Ends all calls and waits for them: first kindly, then not. Idempotent. Takes less than
  // `limit`.
  void Shutdown(std::chrono::milliseconds limit = std::chrono::seconds(4));

 private:
  class Services;
  explicit Server(ServerOptions options);
  absl::Status Listen();
  absl::Status OnOpened(Store& store, const std::vector<Record>& records);
  void Look();

  const ServerOptions options_;
  Credentials credentials_;
  Metrics metrics_;
  AgentHub agents_;
  std::shared_ptr<OpenStreams> streams_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Explainer> explainer_;
  std::unique_ptr<TaskThread> tasks_;
  std::unique_ptr<TaskThread> slow_tasks_;
  std::unique_ptr<AuditLog> audit_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::mutex look_mutex_;
  bool listening_ = false;  // guarded by look_mutex_
  uint64_t looks_ = 0;      // of the task thread
  bool down_ = false;
  std::mutex down_mutex_;
  std::condition_variable down_changed_;
  bool ended_ = false;  // all calls; guarded by down_mutex_
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_SERVER_H_
