// Tokens that administrators issue and revoke: durable before they count.
#ifndef TANREN_COORDINATOR_SERVER_TOKEN_CHANGES_H_
#define TANREN_COORDINATOR_SERVER_TOKEN_CHANGES_H_

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "coordinator/server/change_call.h"
#include "coordinator/server/credentials.h"
#include "coordinator/server/loop.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

TokenInfo ShownToken(const Credential& credential);

// Thread-safe. What it answers into lives until `call` has finished.
class TokenChanges {
 public:
  TokenChanges(Loop& loop, Credentials& credentials) : loop_(loop), credentials_(credentials) {}

  // The same request of the same user gets the same token as long as this lives.
  void Issue(const Caller& caller, const IssueTokenRequest& request, IssueTokenReply* reply,
             ChangeCall call);
  void Revoke(const Caller& caller, const RevokeTokenRequest& request, RevokeTokenReply* reply,
              ChangeCall call);
  void List(ListTokensReply& reply) const;

 private:
  // The answer that was given before; kUnavailable while it is being made.
  std::optional<absl::StatusOr<IssueTokenReply>> Before(const std::string& key);
  void Conclude(const std::string& key, const IssueTokenReply* reply);

  Loop& loop_;
  Credentials& credentials_;
  std::mutex mutex_;
  std::map<std::string, std::optional<IssueTokenReply>> issued_;  // empty: under way
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_TOKEN_CHANGES_H_
