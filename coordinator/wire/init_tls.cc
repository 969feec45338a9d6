// Makes an authority and the certificates that it signs.
#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "coordinator/wire/certificates.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/terminal.h"
#include "runtime/telemetry/process_identity.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

struct Free {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

struct Identity {
  Owned<X509> certificate;
  Owned<EVP_PKEY> key;
};

absl::Status Failed(std::string_view action) {
  char text[256] = "unknown error";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof(text));
  }
  ERR_clear_error();
  return absl::InternalError(fmt::format("{}: {}", action, text));
}

// "IP:::1" or "DNS:head.example".
absl::StatusOr<std::string> SubjectName(const std::string& name) {
  unsigned char address[16];
  if (inet_pton(AF_INET, name.c_str(), address) == 1 ||
      inet_pton(AF_INET6, name.c_str(), address) == 1) {
    return "IP:" + name;
  }
  const bool good = !name.empty() && name.size() <= 253 &&
                    absl::ascii_isalnum(static_cast<unsigned char>(name.front())) &&
                    std::all_of(name.begin(), name.end(), [](unsigned char c) {
                      return absl::ascii_isalnum(c) || c == '.' || c == '-';
                    });
  if (good) return "DNS:" + name;
  return absl::InvalidArgumentError(
      fmt::format("\"{}\": expected a DNS name or an address, without a port", OnOneLine(name)));
}

absl::Status AddExtension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION> extension(
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return Failed(fmt::format("certificate extension {}", value));
  }
  return absl::OkStatus();
}

// 127 random bits: positive, and never twice.
absl::Status SetSerial(X509* certificate) {
  const Owned<BIGNUM> number(BN_new());
  if (number == nullptr || BN_rand(number.get(), 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1 ||
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return Failed("serial number");
  }
  return absl::OkStatus();
}

struct Extension {
  int kind;
  std::string value;
};

// Signed by `authority`, or by itself where that is null.
absl::StatusOr<Identity> MakeIdentity(const std::string& name, const Identity* authority, int days,
                                      const std::vector<Extension>& extensions) {
  Identity made{Owned<X509>(X509_new()), Owned<EVP_PKEY>(EVP_EC_gen("P-256"))};
  X509* certificate = made.certificate.get();
  if (certificate == nullptr || made.key == nullptr) return Failed("key");
  TANREN_RETURN_IF_ERROR(SetSerial(certificate));
  X509_NAME* subject = X509_get_subject_name(certificate);
  const auto* common_name = reinterpret_cast<const unsigned char*>(name.c_str());
  X509* issuer = authority == nullptr ? certificate : authority->certificate.get();
  // Clocks of other machines may be a little behind.
  constexpr long kBehindSeconds = 3600;
  if (X509_set_version(certificate, X509_VERSION_3) != 1 ||
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, common_name, -1, -1, 0) != 1 ||
      X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) != 1 ||
      X509_gmtime_adj(X509_getm_notBefore(certificate), -kBehindSeconds) == nullptr ||
      X509_time_adj_ex(X509_getm_notAfter(certificate), days, 0, nullptr) == nullptr ||
      X509_set_pubkey(certificate, made.key.get()) != 1) {
    return Failed("certificate");
  }
  for (const Extension& extension : extensions) {
    TANREN_RETURN_IF_ERROR(AddExtension(certificate, issuer, extension.kind, extension.value));
  }
  EVP_PKEY* signer = authority == nullptr ? made.key.get() : authority->key.get();
  if (X509_sign(certificate, signer, EVP_sha256()) == 0) return Failed("signature");
  return made;
}

std::string TextOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

absl::Status WriteIdentity(const Identity& identity, const fs::path& stem) {
  const Owned<BIO> key(BIO_new(BIO_s_mem()));
  const Owned<BIO> certificate(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(key.get(), identity.key.get(), nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1 ||
      PEM_write_bio_X509(certificate.get(), identity.certificate.get()) != 1) {
    return Failed("PEM");
  }
  TANREN_RETURN_IF_ERROR(WriteFileAtomically(stem.string() + ".key", TextOf(key.get()), 0600));
  return WriteFileAtomically(stem.string() + ".crt", TextOf(certificate.get()));
}

absl::StatusOr<std::string> SubjectNames(const InitTlsOptions& options) {
  std::vector<std::string> names = {"localhost", "127.0.0.1", "::1", telemetry::HostName()};
  names.insert(names.end(), options.coordinator_names.begin(), options.coordinator_names.end());
  std::vector<std::string> subjects;
  for (const std::string& name : names) {
    TANREN_ASSIGN_OR_RETURN(std::string subject, SubjectName(name));
    if (std::count(subjects.begin(), subjects.end(), subject) == 0) subjects.push_back(subject);
  }
  return absl::StrJoin(subjects, ",");
}

absl::Status PrepareFolder(const fs::path& folder) {
  for (const char* name : {"ca", "coordinator", "agent", "client"}) {
    for (const char* suffix : {".key", ".crt"}) {
      const fs::path path = folder / (std::string(name) + suffix);
      std::error_code ignored;
      if (fs::symlink_status(path, ignored).type() != fs::file_type::not_found) {
        return absl::AlreadyExistsError(fmt::format(
            "{}: exists; name another folder, for certificates in use aren't overwritten",
            path.string()));
      }
    }
  }
  std::error_code ignored;
  if (fs::is_directory(folder, ignored)) return absl::OkStatus();
  if (folder.has_parent_path()) TANREN_RETURN_IF_ERROR(MakeDirectories(folder.parent_path()));
  if (mkdir(folder.c_str(), 0700) != 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't make the folder", folder.string()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status InitTls(const InitTlsOptions& options) {
  if (options.valid_days < 1 || options.ca_valid_days < options.valid_days) {
    return absl::InvalidArgumentError(fmt::format(
        "certificates for {} days under an authority for {}: expected at least 1, and no "
        "more than the authority's",
        options.valid_days, options.ca_valid_days));
  }
  TANREN_ASSIGN_OR_RETURN(const std::string names, SubjectNames(options));
  TANREN_RETURN_IF_ERROR(PrepareFolder(options.folder));
  TANREN_ASSIGN_OR_RETURN(const Identity authority,
                          MakeIdentity("Tanren authority of " + telemetry::HostName().substr(0, 40),
                                       nullptr, options.ca_valid_days,
                                       {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                                        {NID_key_usage, "critical,keyCertSign,cRLSign"},
                                        {NID_subject_key_identifier, "hash"}}));
  const auto signed_by_it = [&](const std::string& name,
                                std::vector<Extension> more) -> absl::StatusOr<Identity> {
    more.push_back({NID_basic_constraints, "critical,CA:FALSE"});
    more.push_back({NID_key_usage, "critical,digitalSignature"});
    more.push_back({NID_subject_key_identifier, "hash"});
    more.push_back({NID_authority_key_identifier, "keyid"});
    return MakeIdentity(name, &authority, options.valid_days, more);
  };
  TANREN_ASSIGN_OR_RETURN(const Identity coordinator,
                          signed_by_it("coordinator", {{NID_ext_key_usage, "serverAuth"},
                                                       {NID_subject_alt_name, names}}));
  TANREN_ASSIGN_OR_RETURN(const Identity agent,
                          signed_by_it("agent", {{NID_ext_key_usage, "clientAuth"}}));
  TANREN_ASSIGN_OR_RETURN(const Identity client,
                          signed_by_it("client", {{NID_ext_key_usage, "clientAuth"}}));
  TANREN_RETURN_IF_ERROR(WriteIdentity(authority, options.folder / "ca"));
  TANREN_RETURN_IF_ERROR(WriteIdentity(coordinator, options.folder / "coordinator"));
  TANREN_RETURN_IF_ERROR(WriteIdentity(agent, options.folder / "agent"));
  return WriteIdentity(client, options.folder / "client");
}

}  // namespace tanren::coordinator
