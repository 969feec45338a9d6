// Who calls: tokens, kept as hashes, and what they allow.
//
// A token is "tnr_<id>_<secret>": the id names it, the secret is 256 random bits. The store keeps
// SHA-256 of the secret; that needs no salt, for there is nothing to guess.
#ifndef TANREN_COORDINATOR_SERVER_CREDENTIALS_H_
#define TANREN_COORDINATOR_SERVER_CREDENTIALS_H_

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/store.h"
#include "proto/job.pb.h"

namespace tanren::coordinator {

// (A Role is a part of a gang.)
enum class CallerRole {
  kView,    // sees jobs, nodes, logs
  kSubmit,  // and submits and changes jobs of its own
  kAdmin,   // and changes everything
  kAgent,   // is a machine's agent; nothing of the others'
};
std::string_view RoleName(CallerRole role);

// 32 bytes; "", which is no hash, where OpenSSL fails.
std::string Sha256(std::string_view text);

struct Caller {
  std::string user;
  std::set<std::string> roles;  // by name
  std::string token;            // its id
  std::string node;             // of an agent: the one node that the token is for; empty: any

  bool Has(CallerRole role) const { return roles.contains(std::string(RoleName(role))); }
};

struct IssuedToken {
  std::string token;  // to be shown once, and kept nowhere
  Credential credential;
  Record record;  // to be made durable before the token is given away
};

// Thread-safe. What isn't known is denied. Nothing takes effect before Apply.
class Credentials {
 public:
  // `wall_ms` tells the time since the epoch.
  explicit Credentials(std::function<int64_t()> wall_ms) : wall_ms_(std::move(wall_ms)) {}

  // Takes the kCredential records among `records`; others are passed over. kDataLoss names one that
  // doesn't parse.
  absl::Status Load(const std::vector<Record>& records);

  // Who sent the header "authorization: Bearer <token>". kUnauthenticated: no such token, revoked,
  // or expired; who doesn't know the secret isn't told which. kPermissionDenied: none of its roles
  // is among `allowed`.
  absl::StatusOr<Caller> Check(std::string_view authorization,
                               std::span<const CallerRole> allowed) const;
  absl::StatusOr<Caller> Check(std::string_view authorization,
                               std::initializer_list<CallerRole> allowed) const {
    return Check(authorization, std::span<const CallerRole>(allowed.begin(), allowed.size()));
  }
  absl::StatusOr<Caller> Check(std::string_view authorization, CallerRole needed) const {
    return Check(authorization, {needed});
  }

  // The same without asking for a role.
  absl::Status CheckToken(std::string_view authorization) const;
  // Whether a token that was good, by its id, still is; kUnauthenticated says why not.
  absl::Status Standing(std::string_view id) const;

  // A new token. kInvalidArgument: the user's name (1 to 64 letters, digits, ".", "_", "-"), no or
  // an unknown role, "agent" beside another role, a node's token of another role, an end before
  // now; kAlreadyExists: `by` made one with this request id before.
  struct Wanted {
    std::string user;
    std::vector<std::string> roles;
    int64_t expires_ms = 0;  // 0: never
    std::string node = {};   // of role agent: the one node that it is for; empty: any
    std::string by;
    std::string request_id;
  };
  absl::StatusOr<IssuedToken> Issue(const Wanted& wanted) const;
  // The record of a token that is revoked from now on; unchanged if it was. kNotFound.
  absl::StatusOr<Record> Revoke(const std::string& id, const std::string& by) const;
  // Takes a record of Issue's or Revoke's that is durable.
  absl::Status Apply(const Record& record);

  // Without hashes, by time of creation.
  std::vector<Credential> List() const;
  // Whether there is a token with this role that is good now.
  bool HasValid(CallerRole role) const;
  // Whether there is one that is good now and for this node alone.
  bool NodeHasItsOwn(std::string_view node) const;

 private:
  // The token that the header holds, if it is good now.
  absl::StatusOr<Credential> Find(std::string_view authorization) const;

  std::function<int64_t()> wall_ms_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, Credential, std::less<>> by_id_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_CREDENTIALS_H_
