// A key and the certificate for it, signed by an authority of ours: what init_tls.cc makes.
#ifndef TANREN_COORDINATOR_WIRE_IDENTITY_H_
#define TANREN_COORDINATOR_WIRE_IDENTITY_H_

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tanren::coordinator {

struct FreeOpenssl {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
};
template <typename T>
using Owned = std::unique_ptr<T, FreeOpenssl>;

struct Identity {
  Owned<X509> certificate;
  Owned<EVP_PKEY> key;
};

// "IP:::1" or "DNS:head.example", as a subject alternative name is written. kInvalidArgument.
absl::StatusOr<std::string> SubjectName(const std::string& name);

absl::StatusOr<Identity> MakeAuthority(const std::string& name, int days);
// For "serverAuth" or "clientAuth"; `subject_names` as SubjectName gives them, joined by commas;
// empty: none.
absl::StatusOr<Identity> MakeCertificate(const std::string& name, const Identity& authority,
                                         int days, const std::string& usage,
                                         const std::string& subject_names);

// <stem>.key (0600), then <stem>.crt.
absl::Status WriteIdentity(const Identity& identity, const std::filesystem::path& stem);
// <stem>.crt and <stem>.key. The errors are ReadKeyPair's.
absl::StatusOr<Identity> ReadIdentity(const std::filesystem::path& stem, int64_t now_ms);
// Whatever its time is.
absl::StatusOr<Owned<X509>> ReadCertificate(const std::filesystem::path& file);
// The names that a certificate holds, as SubjectName gives them.
std::vector<std::string> SubjectNamesOf(const X509* certificate);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_WIRE_IDENTITY_H_
