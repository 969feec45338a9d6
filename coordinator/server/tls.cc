#include "coordinator/server/tls.h"

#include <chrono>

#include "coordinator/wire/certificates.h"
#include "coordinator/wire/channel.h"
#include "grpcpp/security/server_credentials.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsOptions& options, const std::string& listen) {
  if (options.empty()) {
    if (!IsLoopback(listen)) {
      return absl::FailedPreconditionError(fmt::format(
          "{} can be reached from other machines, and tokens would cross the network in the clear: "
          "give a certificate and its key (tanren admin init-tls makes them), or listen on "
          "127.0.0.1",
          listen));
    }
    return grpc::experimental::LocalServerCredentials(listen.starts_with("unix:") ? UDS
                                                                                  : LOCAL_TCP);
  }
  if (options.certificate_file.empty() || options.key_file.empty()) {
    return absl::InvalidArgumentError("TLS takes both a certificate and its key");
  }
  constexpr int64_t kDayMs = 24LL * 3600 * 1000;
  const int64_t now = NowMs();
  TANREN_ASSIGN_OR_RETURN(const KeyPair pair,
                          ReadKeyPair(options.certificate_file, options.key_file, now));
  if (pair.expires_ms - now < 30 * kDayMs) {
    LogWarning("{}: ends in {} days: make a new one in time", options.certificate_file.string(),
               (pair.expires_ms - now) / kDayMs);
  }
  grpc::SslServerCredentialsOptions tls(
      options.client_ca_file.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                     : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_key_cert_pairs.push_back({pair.key, pair.certificate});
  if (!options.client_ca_file.empty()) {
    TANREN_ASSIGN_OR_RETURN(tls.pem_root_certs, ReadAuthorities(options.client_ca_file));
  }
  return grpc::SslServerCredentials(tls);
}

}  // namespace tanren::coordinator
