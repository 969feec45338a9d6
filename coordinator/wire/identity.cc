#include "coordinator/wire/identity.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "coordinator/wire/certificates.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

struct CertificateExtension {
  int kind;  // OpenSSL's NID
  std::string value;
};

absl::Status Failed(std::string_view action) {
  char text[256] = "unknown error";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof(text));
  }
  ERR_clear_error();
  return absl::InternalError(fmt::format("{}: {}", action, text));
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

// Signed by `authority`, or by itself where that is null.
absl::StatusOr<Identity> MakeIdentity(const std::string& name, const Identity* authority, int days,
                                      const std::vector<CertificateExtension>& extensions) {
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
  for (const CertificateExtension& extension : extensions) {
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

}  // namespace

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

absl::StatusOr<Identity> MakeAuthority(const std::string& name, int days) {
  return MakeIdentity(name, nullptr, days,
                      {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                       {NID_key_usage, "critical,keyCertSign,cRLSign"},
                       {NID_subject_key_identifier, "hash"}});
}

absl::StatusOr<Identity> MakeCertificate(const std::string& name, const Identity& authority,
                                         int days, const std::string& usage,
                                         const std::string& subject_names) {
  std::vector<CertificateExtension> extensions = {{NID_ext_key_usage, usage}};
  if (!subject_names.empty()) extensions.push_back({NID_subject_alt_name, subject_names});
  extensions.push_back({NID_basic_constraints, "critical,CA:FALSE"});
  extensions.push_back({NID_key_usage, "critical,digitalSignature"});
  extensions.push_back({NID_subject_key_identifier, "hash"});
  extensions.push_back({NID_authority_key_identifier, "keyid"});
  return MakeIdentity(name, &authority, days, extensions);
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

absl::StatusOr<Identity> ReadIdentity(const fs::path& stem, int64_t now_ms) {
  TANREN_ASSIGN_OR_RETURN(const KeyPair pair,
                          ReadKeyPair(stem.string() + ".crt", stem.string() + ".key", now_ms));
  const auto open = [](const std::string& pem) {
    return Owned<BIO>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  };
  Identity identity{
      Owned<X509>(PEM_read_bio_X509(open(pair.certificate).get(), nullptr, nullptr, nullptr)),
      Owned<EVP_PKEY>(PEM_read_bio_PrivateKey(open(pair.key).get(), nullptr, nullptr, nullptr))};
  if (identity.certificate == nullptr || identity.key == nullptr) return Failed(stem.string());
  return identity;
}

absl::StatusOr<Owned<X509>> ReadCertificate(const fs::path& file) {
  TANREN_ASSIGN_OR_RETURN(const std::string pem, ReadAuthorities(file));
  const Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Owned<X509> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return Failed(file.string());
  return certificate;
}

std::vector<std::string> SubjectNamesOf(const X509* certificate) {
  std::vector<std::string> names;
  auto* const found = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; found != nullptr && i < sk_GENERAL_NAME_num(found); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(found, i);
    if (name->type != GEN_DNS && name->type != GEN_IPADD) continue;
    const ASN1_STRING* const value = name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
    const unsigned char* const bytes = ASN1_STRING_get0_data(value);
    const int size = ASN1_STRING_length(value);
    if (name->type == GEN_DNS) {
      names.push_back("DNS:" + std::string(bytes, bytes + size));
      continue;
    }
    char text[INET6_ADDRSTRLEN] = "";
    if (size != 4 && size != 16) continue;
    inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text));
    names.push_back(std::string("IP:") + text);
  }
  GENERAL_NAMES_free(found);
  return names;
}

}  // namespace tanren::coordinator
