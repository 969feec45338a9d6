// How clients and agents reach a coordinator: the address, who they are, and how they know that it
// is the right one.
#ifndef TANREN_COORDINATOR_WIRE_CHANNEL_H_
#define TANREN_COORDINATOR_WIRE_CHANNEL_H_

#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace tanren::coordinator {

struct Endpoint {
  std::string address;               // "host:port"
  std::filesystem::path token_file;  // one line, readable by its owner alone
  // TLS, wherever the address isn't of this machine: the authority that signed the coordinator's
  // certificate, and, where it asks for one, our own certificate and key.
  std::filesystem::path ca_file;
  std::filesystem::path certificate_file;
  std::filesystem::path key_file;
};

// "127.0.0.1:7411", "[::1]:7411", "localhost:7411", "unix:/run/tanren.sock": reached by no other
// machine.
bool IsLoopback(const std::string& address);

// A connection and the token that each call carries. Cheap to copy; thread-safe.
class Channel {
 public:
  // Reads the files; connects when first used. kInvalidArgument for an address of another machine
  // without a ca_file: the token would go over the network in the clear.
  static absl::StatusOr<Channel> Open(const Endpoint& endpoint);

  const std::shared_ptr<grpc::Channel>& grpc() const { return channel_; }
  const Endpoint& endpoint() const { return endpoint_; }
  // Gives the call its token, and `seconds` until it fails with DEADLINE_EXCEEDED.
  void Prepare(grpc::ClientContext& context, double seconds) const;

 private:
  Channel(Endpoint endpoint, std::string token, std::shared_ptr<grpc::Channel> channel)
      : endpoint_(std::move(endpoint)), token_(std::move(token)), channel_(std::move(channel)) {}

  Endpoint endpoint_;
  std::string token_;
  std::shared_ptr<grpc::Channel> channel_;
};

// The same code and message.
absl::Status FromGrpc(const grpc::Status& status);
grpc::Status ToGrpc(const absl::Status& status);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_WIRE_CHANNEL_H_
