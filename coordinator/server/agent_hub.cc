#include "coordinator/server/agent_hub.h"

#include <utility>

namespace tanren::coordinator {
namespace {

// Ends of remote daemons that wait for a node's return; a gang has no more nodes than this.
constexpr size_t kUndelivered = 4096;

CoordinatorMessage MessageOf(const RemoteEnd& end) {
  CoordinatorMessage message;
  *message.mutable_remote_end() = end;
  return message;
}

}  // namespace

absl::Status AgentHub::Join(const std::string& node, const std::shared_ptr<AgentLink>& link,
                            const std::function<absl::Status()>& post) {
  std::shared_ptr<AgentLink> earlier;
  absl::Status posted;
  {
    const std::lock_guard lock(mutex_);
    Member& member = members_[node];
    earlier = std::exchange(member.link, link);
    member.accepted = false;
    posted = post();
  }
  if (earlier != nullptr) {
    earlier->Replace(absl::AbortedError("another stream of node " + node + " began"));
  }
  return posted;
}

void AgentHub::Accept(const std::string& node, const AgentLink* link) {
  std::shared_ptr<AgentLink> accepted;
  std::deque<RemoteEnd> ends;
  {
    const std::lock_guard lock(mutex_);
    const auto found = members_.find(node);
    if (found == members_.end() || found->second.link.get() != link) return;
    found->second.accepted = true;
    accepted = found->second.link;
    if (const auto kept = undelivered_.find(node); kept != undelivered_.end()) {
      ends = std::move(kept->second);
      undelivered_.erase(kept);
    }
  }
  for (const RemoteEnd& end : ends) accepted->Forward(MessageOf(end));
}

void AgentHub::Leave(const std::string& node, const AgentLink* link,
                     const std::function<absl::Status()>& post) {
  std::shared_ptr<AgentLink> left;  // destroyed without the lock
  const std::lock_guard lock(mutex_);
  const auto found = members_.find(node);
  if (found == members_.end() || found->second.link.get() != link) return;
  left = std::move(found->second.link);
  members_.erase(found);
  // If there is no room for it, the core learns from the silence.
  (void)post();
}

void AgentHub::EndAll(const absl::Status& status) {
  std::vector<std::shared_ptr<AgentLink>> links;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [node, member] : members_) links.push_back(member.link);
  }
  for (const auto& link : links) link->Replace(status);
}

std::shared_ptr<AgentLink> AgentHub::Find(const std::string& node, bool accepted) const {
  const std::lock_guard lock(mutex_);
  const auto found = members_.find(node);
  if (found == members_.end() || (accepted && !found->second.accepted)) return nullptr;
  return found->second.link;
}

void AgentHub::SendOrders(const std::string& node, const Orders& orders) {
  if (const auto link = Find(node, true)) link->SendOrders(orders);
}

bool AgentHub::AskLog(const std::string& node, ReadLogChunk request,
                      AgentLink::LogAnswered answered) {
  const auto link = Find(node, true);
  return link != nullptr && link->AskLog(std::move(request), std::move(answered));
}

bool AgentHub::Forward(const std::string& node, CoordinatorMessage message) {
  const auto link = Find(node, true);
  return link != nullptr && link->Forward(std::move(message));
}

void AgentHub::ForwardEnd(const RemoteEnd& end) {
  if (Forward(end.to(), MessageOf(end))) return;
  const std::lock_guard lock(mutex_);
  std::deque<RemoteEnd>& kept = undelivered_[end.to()];
  kept.push_back(end);
  if (kept.size() > kUndelivered) kept.pop_front();
}

size_t AgentHub::size() const {
  const std::lock_guard lock(mutex_);
  return members_.size();
}

}  // namespace tanren::coordinator
