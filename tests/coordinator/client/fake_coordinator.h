// A coordinator's services, as a test wants them to answer, on a port of this machine.
#ifndef TANREN_TESTS_COORDINATOR_CLIENT_FAKE_COORDINATOR_H_
#define TANREN_TESTS_COORDINATOR_CLIENT_FAKE_COORDINATOR_H_

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "coordinator/wire/channel.h"
#include "grpcpp/server.h"
#include "proto/coordinator.grpc.pb.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {

class FakeJobs final : public Jobs::Service {
 public:
  using Call = grpc::ServerContext;
  // Answers; what isn't set is UNIMPLEMENTED. Called one at a time.
  std::function<grpc::Status(const SubmitRequest&, SubmitReply*)> submit;
  std::function<grpc::Status(const JobRequest&, JobReply*)> get;
  std::function<grpc::Status(const LogRequest&, grpc::ServerWriter<LogReply>*)> read_log;

  grpc::Status Submit(Call* call, const SubmitRequest* request, SubmitReply* reply) override {
    const std::lock_guard lock(mutex_);
    Note(*call);
    return submit ? submit(*request, reply) : Jobs::Service::Submit(call, request, reply);
  }
  grpc::Status Get(Call* call, const JobRequest* request, JobReply* reply) override {
    const std::lock_guard lock(mutex_);
    return get ? get(*request, reply) : Jobs::Service::Get(call, request, reply);
  }
  grpc::Status ReadLog(Call* call, const LogRequest* request,
                       grpc::ServerWriter<LogReply>* writer) override {
    const std::lock_guard lock(mutex_);
    return read_log ? read_log(*request, writer) : Jobs::Service::ReadLog(call, request, writer);
  }

  // What calls carried.
  std::vector<std::string> authorizations;

 private:
  void Note(const Call& call) {
    const auto found = call.client_metadata().find("authorization");
    if (found == call.client_metadata().end()) return;
    authorizations.emplace_back(found->second.data(), found->second.size());
  }
  std::mutex mutex_;
};

class FakeCoordinator {
 public:
  // Also listens again on `address` where one ended. "" takes a free port.
  explicit FakeCoordinator(grpc::Service& service, const std::string& address = "");
  ~FakeCoordinator();

  const std::string& address() const { return address_; }

 private:
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

// With a token in it.
class TestFolder : public TemporaryFolder {
 public:
  TestFolder();
  // The endpoint of `address` with this folder's token, "tnr_test_secret".
  Endpoint EndpointAt(const std::string& address) const;
};

}  // namespace tanren::coordinator

#endif  // TANREN_TESTS_COORDINATOR_CLIENT_FAKE_COORDINATOR_H_
