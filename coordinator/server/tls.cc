#include "coordinator/server/tls.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "coordinator/wire/certificates.h"
#include "coordinator/wire/channel.h"
#include "coordinator/wire/file_stamp.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kDayMs = 24LL * 3600 * 1000;
constexpr int64_t kWarnDays = 30;
constexpr unsigned kReadEverySeconds = 1;

// Puts the text where `descriptor` was (-1: a new one), so that who opens its path finds the old
// text or the new one, whole.
absl::Status ReplaceMemory(const std::string& text, int& descriptor) {
  const int file = memfd_create("tanren-tls", MFD_CLOEXEC);
  if (file < 0) return absl::ErrnoToStatus(errno, "memfd_create");
  if (write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    close(file);
    return absl::InternalError("a certificate doesn't fit into memory");
  }
  if (descriptor < 0) {
    descriptor = file;
    return absl::OkStatus();
  }
  const int placed = dup3(file, descriptor, O_CLOEXEC);
  close(file);
  return placed >= 0 ? absl::OkStatus() : absl::ErrnoToStatus(errno, "dup3");
}

std::string PathOf(int descriptor) { return fmt::format("/proc/self/fd/{}", descriptor); }

}  // namespace

ServerCertificates::~ServerCertificates() {
  if (identity_ >= 0) close(identity_);
  if (authorities_ >= 0) close(authorities_);
}

absl::StatusOr<std::shared_ptr<ServerCertificates>> ServerCertificates::Open(
    const TlsOptions& options) {
  if (options.certificate_file.empty() || options.key_file.empty()) {
    return absl::InvalidArgumentError("TLS takes both a certificate and its key");
  }
  std::shared_ptr<ServerCertificates> made(new ServerCertificates(options));
  const int64_t now = WallMs();
  made->stamp_ = made->Stamp();
  TANREN_RETURN_IF_ERROR(made->Take(now));
  made->WarnOfItsEnd(now);
  const std::string identity = PathOf(made->identity_);
  const bool is_mutual = made->authorities_ >= 0;
  grpc::experimental::TlsServerCredentialsOptions tls(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          identity, identity, is_mutual ? PathOf(made->authorities_) : "", kReadEverySeconds));
  tls.watch_identity_key_cert_pairs();
  if (is_mutual) tls.watch_root_certs();
  tls.set_cert_request_type(is_mutual ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                      : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  made->credentials_ = grpc::experimental::TlsServerCredentials(tls);
  if (made->credentials_ == nullptr) return absl::InternalError("gRPC makes no TLS credentials");
  return made;
}

absl::Status ServerCertificates::Take(int64_t now_ms) {
  TANREN_ASSIGN_OR_RETURN(const KeyPair pair,
                          ReadKeyPair(options_.certificate_file, options_.key_file, now_ms));
  if (!options_.client_ca_file.empty()) {
    TANREN_ASSIGN_OR_RETURN(const std::string pem, ReadAuthorities(options_.client_ca_file));
    TANREN_RETURN_IF_ERROR(ReplaceMemory(pem, authorities_));
  }
  TANREN_RETURN_IF_ERROR(ReplaceMemory(pair.key + "\n" + pair.certificate, identity_));
  expires_ms_ = pair.expires_ms;
  return absl::OkStatus();
}

std::string ServerCertificates::Stamp() const {
  return StampOf({options_.certificate_file, options_.key_file, options_.client_ca_file});
}

void ServerCertificates::Look(int64_t now_ms) {
  WarnOfItsEnd(now_ms);
  std::string stamp = Stamp();
  if (stamp == stamp_) return;
  const absl::Status taken = Take(now_ms);
  if (!taken.ok()) {
    // The key may be there before its certificate: what still doesn't serve at the next look is
    // told of.
    if (std::exchange(unfit_, stamp) != stamp) return;
    stamp_ = std::move(stamp);
    LogWarning("certificates have changed, and the old ones go on: {}",
               std::string(taken.message()));
    return;
  }
  stamp_ = std::move(stamp);
  LogInfo("{}: a new certificate, good for {} days", options_.certificate_file.string(),
          (expires_ms_ - now_ms) / kDayMs);
  warned_ms_ = 0;
  WarnOfItsEnd(now_ms);
}

void ServerCertificates::WarnOfItsEnd(int64_t now_ms) {
  if (expires_ms_ - now_ms >= kWarnDays * kDayMs || now_ms - warned_ms_ < kDayMs) return;
  warned_ms_ = now_ms;
  if (expires_ms_ <= now_ms) {
    LogError("{}: has ended: nobody connects any more until there is a new one",
             options_.certificate_file.string());
  } else {
    LogWarning("{}: ends in {} days: make a new one in time (tanren admin init-tls --renew)",
               options_.certificate_file.string(), (expires_ms_ - now_ms) / kDayMs);
  }
}

absl::StatusOr<ListenerSecurity> MakeServerCredentials(const TlsOptions& options,
                                                       const std::string& listen) {
  if (options.empty()) {
    if (!IsLoopback(listen)) {
      return absl::FailedPreconditionError(fmt::format(
          "{} can be reached from other machines, and tokens would cross the network in the clear: "
          "give a certificate and its key (tanren admin init-tls makes them), or listen on "
          "127.0.0.1",
          listen));
    }
    return ListenerSecurity{
        grpc::experimental::LocalServerCredentials(listen.starts_with("unix:") ? UDS : LOCAL_TCP),
        nullptr};
  }
  TANREN_ASSIGN_OR_RETURN(auto certificates, ServerCertificates::Open(options));
  return ListenerSecurity{certificates->credentials(), certificates};
}

}  // namespace tanren::coordinator
