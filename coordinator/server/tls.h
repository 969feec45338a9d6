// How a coordinator listens: on this machine alone, or by TLS.
#ifndef TANREN_COORDINATOR_SERVER_TLS_H_
#define TANREN_COORDINATOR_SERVER_TLS_H_

#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/security/server_credentials.h"

namespace tanren::coordinator {

struct TlsOptions {
  std::filesystem::path certificate_file;  // PEM; empty, with key_file: no TLS
  std::filesystem::path key_file;
  // Clients must show a certificate of one of these authorities (mutual TLS); empty: a token alone
  // is asked for, as everywhere.
  std::filesystem::path client_ca_file;

  bool empty() const {
    return certificate_file.empty() && key_file.empty() && client_ca_file.empty();
  }
};

// For ServerBuilder::AddListeningPort(listen, …). Without TLS kFailedPrecondition unless `listen`
// is a loopback address, and then only connections of this machine are taken. The files' errors are
// ReadKeyPair's; a certificate that ends within 30 days is warned of.
//
// Who calls isn't decided here: each handler checks the call's token.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsOptions& options, const std::string& listen);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_TLS_H_
