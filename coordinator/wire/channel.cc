#include "coordinator/wire/channel.h"

#include <chrono>
#include <utility>

#include "absl/strings/match.h"
#include "coordinator/wire/protocol.h"
#include "coordinator/wire/token_file.h"
#include "fmt/format.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tanren::coordinator {
namespace {

constexpr uint64_t kLongestPem = 1 << 20;

// A numeric address of this machine takes no resolver, whose start costs more than a call.
std::string TargetOf(const std::string& address) {
  return absl::StartsWith(address, "127.") ? "ipv4:" + address : address;
}

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kLongestMessage);
  arguments.SetMaxSendMessageSize(kLongestMessage);
  // A coordinator that restarts is found again within a second.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 300);
  // A peer that vanished without a word is known after these together.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  // The address is what was said: no proxy, no look-up of settings in the name service.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // Channels of one process share no connection: each sees its own troubles.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> CredentialsOf(const Endpoint& endpoint) {
  if (endpoint.ca_file.empty()) {
    if (!IsLoopback(endpoint.address)) {
      return absl::InvalidArgumentError(fmt::format(
          "{} is another machine's address: the token would cross the network in the clear; name "
          "the authority of the coordinator's certificate with --ca",
          endpoint.address));
    }
    return grpc::experimental::LocalCredentials(
        absl::StartsWith(endpoint.address, "unix:") ? UDS : LOCAL_TCP);
  }
  grpc::SslCredentialsOptions tls;
  TANREN_ASSIGN_OR_RETURN(tls.pem_root_certs, ReadFile(endpoint.ca_file, kLongestPem));
  if (endpoint.certificate_file.empty() != endpoint.key_file.empty()) {
    return absl::InvalidArgumentError("--certificate and --key go together");
  }
  if (!endpoint.certificate_file.empty()) {
    TANREN_ASSIGN_OR_RETURN(tls.pem_cert_chain, ReadFile(endpoint.certificate_file, kLongestPem));
    TANREN_ASSIGN_OR_RETURN(tls.pem_private_key, ReadFile(endpoint.key_file, kLongestPem));
  }
  return grpc::SslCredentials(tls);
}

}  // namespace

bool IsLoopback(const std::string& address) {
  const std::string host = address.substr(0, address.rfind(':'));
  return absl::StartsWith(host, "127.") || host == "localhost" || host == "[::1]" ||
         absl::StartsWith(address, "unix:");
}

absl::StatusOr<Channel> Channel::Open(const Endpoint& endpoint) {
  TANREN_ASSIGN_OR_RETURN(auto credentials, CredentialsOf(endpoint));
  TANREN_ASSIGN_OR_RETURN(std::string token, ReadToken(endpoint.token_file));
  return Channel(endpoint, std::move(token),
                 grpc::CreateCustomChannel(TargetOf(endpoint.address), credentials, Arguments()));
}

void Channel::Prepare(grpc::ClientContext& context, double seconds) const {
  context.AddMetadata("authorization", "Bearer " + token_);
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)));
}

// gRPC's codes have absl's numbers.
absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

}  // namespace tanren::coordinator
