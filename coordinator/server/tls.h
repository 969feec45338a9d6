// How a coordinator listens: on this machine alone, or by TLS with certificates that may be renewed
// while it does.
#ifndef TANREN_COORDINATOR_SERVER_TLS_H_
#define TANREN_COORDINATOR_SERVER_TLS_H_

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/status.h"
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

// The files of a listener, taken anew when they change: connections go on, and those that begin a
// second or two later are offered what is new. What doesn't serve (half written, expired, a key of
// another certificate) is logged, and what was there before goes on.
class ServerCertificates {
 public:
  // The errors are ReadKeyPair's and ReadAuthorities'.
  static absl::StatusOr<std::shared_ptr<ServerCertificates>> Open(const TlsOptions& options);
  ~ServerCertificates();
  ServerCertificates(const ServerCertificates&) = delete;
  ServerCertificates& operator=(const ServerCertificates&) = delete;

  std::shared_ptr<grpc::ServerCredentials> credentials() const { return credentials_; }
  // Looks whether the files have changed, and warns, once a day, of a certificate that ends within
  // 30 days. To be called every second or so, by one thread. `now_ms` since the epoch.
  void Look(int64_t now_ms);
  // Of the certificate that is offered. Any thread.
  int64_t expires_ms() const { return expires_ms_; }

 private:
  explicit ServerCertificates(TlsOptions options) : options_(std::move(options)) {}
  // Reads and checks all files, then offers them.
  absl::Status Take(int64_t now_ms);
  std::string Stamp() const;
  void WarnOfItsEnd(int64_t now_ms);

  const TlsOptions options_;
  std::shared_ptr<grpc::ServerCredentials> credentials_;
  std::atomic<int64_t> expires_ms_ = 0;
  std::string stamp_;  // of the files that were last looked at
  std::string unfit_;  // of those that didn't serve then
  int64_t warned_ms_ = 0;
  // Files in memory, which gRPC reads every second. Each is replaced whole.
  int identity_ = -1;  // the key and its certificates
  int authorities_ = -1;
};

struct ListenerSecurity {
  // For ServerBuilder::AddListeningPort(listen, …).
  std::shared_ptr<grpc::ServerCredentials> credentials;
  std::shared_ptr<ServerCertificates> certificates;  // null: without TLS
};

// Without TLS kFailedPrecondition unless `listen` is a loopback address, and then only connections
// of this machine are taken. The files' errors are ServerCertificates::Open's.
//
// Who calls isn't decided here: each handler checks the call's token.
absl::StatusOr<ListenerSecurity> MakeServerCredentials(const TlsOptions& options,
                                                       const std::string& listen);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_TLS_H_
