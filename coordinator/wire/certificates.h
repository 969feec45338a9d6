// Certificates for TLS between coordinator, agents and clients: made, and checked before they are
// used. OpenSSL alone.
#ifndef TANREN_COORDINATOR_WIRE_CERTIFICATES_H_
#define TANREN_COORDINATOR_WIRE_CERTIFICATES_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tanren::coordinator {

struct InitTlsOptions {
  std::filesystem::path folder;
  // Names and addresses by which the coordinator is reached, beside localhost, 127.0.0.1, ::1 and
  // this machine's name.
  std::vector<std::string> coordinator_names;
  int valid_days = 825;      // of the three
  int ca_valid_days = 3650;  // of the authority
};

// Makes an authority of its own and three certificates that it signs:
//   ca.crt, ca.key                    the key signs further ones: keep it off the cluster
//   coordinator.crt, coordinator.key  for the names; serves
//   agent.crt, agent.key              for agents, as clients
//   client.crt, client.key            for people, as clients
// ECDSA P-256; keys have mode 0600, certificates 0644, the folder (made if need be) 0700.
// kAlreadyExists, before anything is written, if one of the files is there; kInvalidArgument for a
// name that is neither a DNS name nor an address.
absl::Status InitTls(const InitTlsOptions& options);

// Makes the three certificates anew, with new keys, by the authority in the folder; the
// coordinator's has the names that it had, too. The errors of ca.crt and ca.key are ReadKeyPair's;
// kInvalidArgument if the authority ends sooner.
absl::Status RenewTls(const InitTlsOptions& options);

// <folder>/<node>.crt and .key, for the agent of that node alone: signed by the authority in the
// folder, replacing what is there. Errors as RenewTls's; kInvalidArgument for a node's name that
// can't be one.
absl::Status MakeNodeCertificate(const std::filesystem::path& folder, const std::string& node,
                                 int days);

// A certificate chain and its key, as PEM.
struct KeyPair {
  std::string certificate;
  std::string key;
  int64_t expires_ms = 0;  // since the epoch
};

// Reads the two files. kPermissionDenied if others may read the key; kInvalidArgument if one isn't
// PEM or they don't belong together; kFailedPrecondition if the certificate has expired or isn't
// valid yet (`now_ms` since the epoch).
absl::StatusOr<KeyPair> ReadKeyPair(const std::filesystem::path& certificate,
                                    const std::filesystem::path& key, int64_t now_ms);

// Certificates of authorities, as PEM; kInvalidArgument if there is none in the file.
absl::StatusOr<std::string> ReadAuthorities(const std::filesystem::path& file);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_WIRE_CERTIFICATES_H_
