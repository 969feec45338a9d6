// Whose machine an agent speaks for. One token may be given to many machines, and still none acts
// for another:
//   - a token that was made for a node is good for that node alone, and then no other token is;
//   - a certificate with DNS names is good for the nodes of those names alone (or of their first
//     parts: t3.example.org for t3); one without names says nothing;
//   - everybody else shows a key of their own, which claims the name for the first who joins with
//     it (Core's CheckClaim).
#ifndef TANREN_COORDINATOR_SERVER_AGENT_IDENTITY_H_
#define TANREN_COORDINATOR_SERVER_AGENT_IDENTITY_H_

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/server/credentials.h"
#include "grpcpp/server_context.h"

namespace tanren::coordinator {

struct AgentIdentity {
  std::string user;
  std::string token;                           // its id
  std::string token_node;                      // the one node that the token is for; empty: any
  std::vector<std::string> certificate_names;  // DNS names that the client's certificate holds
  std::string peer;                            // its address
};

AgentIdentity IdentityOf(const grpc::CallbackServerContext& context, const Caller& caller);

// Whether the token or the certificate is the node's own; if not, the agent's key decides.
// kPermissionDenied where one of them is another node's, or where the node has a token of its own
// and this isn't it.
absl::StatusOr<bool> IsVouchedFor(const AgentIdentity& identity, std::string_view node,
                                  const Credentials& credentials);

// SHA-256 of a key that an agent shows; "" of none. kInvalidArgument: not 32 to 256 characters.
absl::StatusOr<std::string> HashOfNodeKey(std::string_view key);

// Agents that are refused try again every few seconds: one note of each node in ten minutes is
// enough. Thread-safe; bounded.
class RefusedAgents {
 public:
  // Whether it is to be noted now.
  bool IsNews(const std::string& node);

 private:
  std::mutex mutex_;
  std::map<std::string, std::chrono::steady_clock::time_point> noted_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_AGENT_IDENTITY_H_
