#include "coordinator/wire/certificates.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <cerrno>
#include <ctime>
#include <memory>

#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLongestPem = 1 << 20;

struct Free {
  void operator()(X509* x) const { X509_free(x); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};

template <typename T>
using Owned = std::unique_ptr<T, Free>;

Owned<BIO> Open(const std::string& pem) {
  return Owned<BIO>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// Keys protected by a passphrase are refused rather than asked for on the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

absl::Status Invalid(const fs::path& path, std::string_view what) {
  ERR_clear_error();
  return absl::InvalidArgumentError(fmt::format("{}: {}", path.string(), what));
}

absl::StatusOr<int64_t> Milliseconds(const ASN1_TIME* time) {
  std::tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InvalidArgumentError("has no valid time");
  return int64_t{timegm(&parts)} * 1000;
}

std::string Date(int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm parts = {};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &parts);
  return text;
}

}  // namespace

absl::StatusOr<KeyPair> ReadKeyPair(const fs::path& certificate, const fs::path& key,
                                    int64_t now_ms) {
  KeyPair pair;
  TANREN_ASSIGN_OR_RETURN(pair.certificate, ReadFile(certificate, kLongestPem));
  struct stat info;
  if (stat(key.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't open", key.string()));
  }
  if ((info.st_mode & 0077) != 0) {
    return absl::PermissionDeniedError(
        fmt::format("{}: others may read this key (mode {:04o}); run: chmod 600 {}", key.string(),
                    info.st_mode & 07777, key.string()));
  }
  TANREN_ASSIGN_OR_RETURN(pair.key, ReadFile(key, kLongestPem));
  const Owned<X509> parsed(
      PEM_read_bio_X509(Open(pair.certificate).get(), nullptr, NoPassphrase, nullptr));
  if (parsed == nullptr) return Invalid(certificate, "holds no certificate in PEM");
  const Owned<EVP_PKEY> parsed_key(
      PEM_read_bio_PrivateKey(Open(pair.key).get(), nullptr, NoPassphrase, nullptr));
  if (parsed_key == nullptr) return Invalid(key, "holds no key in PEM without a passphrase");
  if (X509_check_private_key(parsed.get(), parsed_key.get()) != 1) {
    return Invalid(key, fmt::format("isn't the key of {}", certificate.string()));
  }
  TANREN_ASSIGN_OR_RETURN(pair.expires_ms, Milliseconds(X509_get0_notAfter(parsed.get())));
  TANREN_ASSIGN_OR_RETURN(const int64_t begins, Milliseconds(X509_get0_notBefore(parsed.get())));
  if (now_ms >= pair.expires_ms) {
    return absl::FailedPreconditionError(fmt::format("{}: has expired ({}): make a new one",
                                                     certificate.string(), Date(pair.expires_ms)));
  }
  if (now_ms < begins) {
    return absl::FailedPreconditionError(
        fmt::format("{}: isn't valid before {}: is this machine's clock right?",
                    certificate.string(), Date(begins)));
  }
  return pair;
}

absl::StatusOr<std::string> ReadAuthorities(const fs::path& file) {
  TANREN_ASSIGN_OR_RETURN(std::string pem, ReadFile(file, kLongestPem));
  const Owned<X509> parsed(PEM_read_bio_X509(Open(pem).get(), nullptr, NoPassphrase, nullptr));
  if (parsed == nullptr) return Invalid(file, "holds no certificate in PEM");
  return pem;
}

}  // namespace tanren::coordinator
