#include "tests/coordinator/client/fake_coordinator.h"

#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <fstream>

#include "fmt/format.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {

FakeCoordinator::FakeCoordinator(grpc::Service& service, const std::string& address) {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(address.empty() ? "127.0.0.1:0" : address,
                           grpc::experimental::LocalServerCredentials(LOCAL_TCP), &port);
  builder.RegisterService(&service);
  server_ = builder.BuildAndStart();
  TANREN_CHECK(server_ != nullptr && port != 0);
  address_ = fmt::format("127.0.0.1:{}", port);
}

FakeCoordinator::~FakeCoordinator() {
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
}

TestFolder::TestFolder() {
  std::ofstream(path() / "token") << "tnr_test_secret\n";
  chmod((path() / "token").c_str(), 0600);
}

Endpoint TestFolder::EndpointAt(const std::string& address) const {
  Endpoint endpoint;
  endpoint.address = address;
  endpoint.token_file = path() / "token";
  return endpoint;
}

}  // namespace tanren::coordinator
