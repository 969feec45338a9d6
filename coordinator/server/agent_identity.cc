#include "coordinator/server/agent_identity.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "fmt/format.h"
#include "grpc/grpc_security_constants.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

constexpr char kDnsNames[] = GRPC_PEER_DNS_PROPERTY_NAME;
constexpr size_t kShortestKey = 32;
constexpr size_t kLongestKey = 256;
constexpr size_t kMostNoted = 1024;
constexpr std::chrono::minutes kNoteEvery{10};

bool Names(std::string_view certificate_name, std::string_view node) {
  if (absl::EqualsIgnoreCase({certificate_name.data(), certificate_name.size()},
                             {node.data(), node.size()})) {
    return true;
  }
  const std::string_view first = certificate_name.substr(0, certificate_name.find('.'));
  return absl::EqualsIgnoreCase({first.data(), first.size()}, {node.data(), node.size()});
}

}  // namespace

AgentIdentity IdentityOf(const grpc::CallbackServerContext& context, const Caller& caller) {
  AgentIdentity identity{caller.user, caller.token, caller.node, {}, context.peer()};
  const auto peer = context.auth_context();
  if (peer == nullptr || !peer->IsPeerAuthenticated()) return identity;
  for (const grpc::string_ref& name : peer->FindPropertyValues(kDnsNames)) {
    identity.certificate_names.emplace_back(name.data(), name.size());
  }
  return identity;
}

absl::StatusOr<bool> IsVouchedFor(const AgentIdentity& identity, std::string_view node,
                                  const Credentials& credentials) {
  const std::string shown = OnOneLine(node.substr(0, 64));
  if (!identity.token_node.empty() && identity.token_node != node) {
    return absl::PermissionDeniedError(fmt::format("token {} is for node {}, and not for {}",
                                                   identity.token, identity.token_node, shown));
  }
  const auto& names = identity.certificate_names;
  const bool is_named = std::any_of(names.begin(), names.end(),
                                    [&](const std::string& name) { return Names(name, node); });
  if (!names.empty() && !is_named) {
    return absl::PermissionDeniedError(
        fmt::format("this certificate is for {}, and not for node {}",
                    OnOneLine(names[0].substr(0, 253)), shown));
  }
  if (!identity.token_node.empty() || is_named) return true;
  if (credentials.NodeHasItsOwn(node)) {
    return absl::PermissionDeniedError(
        fmt::format("node {} has a token of its own, and this isn't it", shown));
  }
  return false;
}

absl::StatusOr<std::string> HashOfNodeKey(std::string_view key) {
  if (key.empty()) return "";
  if (key.size() < kShortestKey || key.size() > kLongestKey) {
    return absl::InvalidArgumentError(fmt::format("node_key: {} characters; {} to {} are expected",
                                                  key.size(), kShortestKey, kLongestKey));
  }
  return Sha256(key);
}

bool RefusedAgents::IsNews(const std::string& node) {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  const auto known = noted_.find(node);
  if (known != noted_.end() && now - known->second < kNoteEvery) return false;
  if (known == noted_.end() && noted_.size() >= kMostNoted) {
    std::erase_if(noted_, [&](const auto& entry) { return now - entry.second >= kNoteEvery; });
    if (noted_.size() >= kMostNoted) return false;
  }
  noted_[node] = now;
  return true;
}

}  // namespace tanren::coordinator
