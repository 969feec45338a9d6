// Streams and leases: who is heard of, and what becomes of what a silent node holds.
//
// A node that stands for a Slurm cluster is never lost while it holds work: what its agent has
// given to Slurm lives on without it. Its word ends it, or an administrator's, who removes the
// node.
#include <algorithm>
#include <utility>
#include <vector>

#include "coordinator/state/core.h"
#include "coordinator/state/spec_check.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

constexpr int kOrdersOfAStreamBits = 22;

// The node as it joins: what the coordinator itself knows of it goes on.
Node Joined(const Node& told, const Node* known, int64_t now_ms) {
  Node node = told;
  node.set_joined_ms(known == nullptr ? now_ms : known->joined_ms());
  node.set_state(known == nullptr ? Node::UP : known->state());
  node.set_draining(known != nullptr && known->draining());
  node.set_drain_reason(known == nullptr ? "" : known->drain_reason());
  node.set_suspicions(known == nullptr ? 0 : known->suspicions());
  node.set_suspected_by(known == nullptr ? 0 : known->suspected_by());
  if (node.launcher().empty()) node.set_launcher("local");
  if (known != nullptr && node.agent_key_sha256().empty()) {
    node.set_agent_key_sha256(known->agent_key_sha256());
  }
  return node;
}

}  // namespace

absl::Status CheckClaim(const JoinInput& join, const Node* known) {
  if (join.vouched || known == nullptr || known->agent_key_sha256().empty() ||
      known->agent_key_sha256() == join.node.agent_key_sha256()) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(fmt::format(
      "node {0} is another agent's: its key isn't this one's. If the machine was set up anew, an "
      "administrator lets it in with `tanren admin remove-node {0}`, or with a token of its own "
      "(`tanren admin token issue agent --roles agent --node {0}`)",
      known->name()));
}

Core::Session& Core::SessionOf(const std::string& node) {
  const auto [found, added] = sessions_.try_emplace(node);
  if (added) {
    found->second.heard_steady_ms = now_.steady_ms;
    node_deadlines_.insert({now_.steady_ms + options_.silent_ms, node});
  }
  return found->second;
}

void Core::Handle(const JoinInput& input) {
  outcome_.status = CheckNode(input.node);
  if (!outcome_.status.ok()) return;
  const std::string& name = input.node.name();
  const Node* known = cluster_.FindNode(name);
  outcome_.status = CheckClaim(input, known);
  if (!outcome_.status.ok()) return;
  if (known != nullptr && known->incarnation() != input.node.incarnation()) {
    Replace(name, SessionOf(name));
  }
  const Node node = Joined(input.node, known, now_.wall_ms);
  if (known == nullptr || Serialized(*known) != Serialized(node)) {
    HistoryEvent event = NewEvent();
    *event.mutable_node_joined()->mutable_node() = node;
    if (!Emit(std::move(event))) return;
  }
  Session& session = SessionOf(name);
  session.connected = true;
  session.reported = false;
  session.stream = input.stream;
  session.last_report = 0;
  session.last_orders = input.stream << kOrdersOfAStreamBits;
  session.orders_before = session.last_orders;
  for (auto& [job, part] : session.parts) part.stop_order = 0;
}

// Another incarnation speaks for the node. What the former one began lives until its own lease has
// passed, and nobody tells of it.
void Core::Replace(const std::string& node, Session& session) {
  const int64_t until = session.heard_steady_ms + options_.lease_ms + options_.grace_ms;
  session.former_until_ms = std::max(session.former_until_ms, until);
  for (const uint64_t id : cluster_.loads[node].named) {
    int64_t& unlisted = session.parts[id].unlisted_until_ms;
    unlisted = std::max(unlisted, until);
  }
}

void Core::Handle(const LeaveInput& input) {
  const auto found = sessions_.find(input.node);
  // The end of a stream that another has followed is no news.
  if (found == sessions_.end() || found->second.stream != input.stream) return;
  found->second.connected = false;
  found->second.reported = false;
}

// This process stood still for so long: what agents said meanwhile may wait to be read.
void Core::Forgive(int64_t stood_ms) {
  node_deadlines_.clear();
  for (auto& [name, session] : sessions_) {
    session.heard_steady_ms = std::min(session.heard_steady_ms + stood_ms, now_.steady_ms);
    const Node* node = cluster_.FindNode(name);
    if (node == nullptr || node->state() == Node::LOST) continue;
    node_deadlines_.insert({session.heard_steady_ms + options_.silent_ms, name});
  }
}

void Core::WatchNodes() {
  while (!node_deadlines_.empty() && node_deadlines_.begin()->first <= now_.steady_ms) {
    const std::string name = node_deadlines_.begin()->second;
    node_deadlines_.erase(node_deadlines_.begin());
    const Node* node = cluster_.FindNode(name);
    if (node == nullptr || node->state() == Node::LOST) continue;
    const int64_t heard = sessions_.at(name).heard_steady_ms;
    const int64_t silent = heard + options_.silent_ms;
    const int64_t lost =
        heard + std::max(options_.lease_ms + options_.grace_ms, options_.silent_ms);
    if (now_.steady_ms < silent) {
      node_deadlines_.insert({silent, name});
      continue;
    }
    if (node->state() == Node::UP) LoseSight(*node);
    if (now_.steady_ms < lost) {
      node_deadlines_.insert({lost, name});
    } else if (node->launcher() != "slurm" || cluster_.loads[name].named.empty()) {
      Lose(name);
    }
  }
}

void Core::ChangeNodeState(const std::string& node, Node::State state) {
  HistoryEvent event = NewEvent();
  event.mutable_node_state_changed()->set_node(node);
  event.mutable_node_state_changed()->set_state(state);
  Emit(std::move(event));
}

void Core::LoseSight(const Node& node) {
  ChangeNodeState(node.name(), Node::SILENT);
  const std::set<uint64_t> jobs = cluster_.loads[node.name()].jobs;
  for (const uint64_t id : jobs) {
    const Job& job = cluster_.jobs.at(id);
    if (job.state() == UNKNOWN) continue;
    HistoryEvent event = NewEvent();
    *event.mutable_attempt_unknown()->mutable_token() = job.attempt().token();
    event.mutable_attempt_unknown()->set_node(node.name());
    Emit(std::move(event));
  }
}

// Lease and grace have passed: nothing that the node held lives any more.
void Core::Lose(const std::string& node) {
  const std::set<uint64_t> jobs = cluster_.loads[node].jobs;
  AttemptEnd end;
  end.set_kind(AttemptEnd::INFRASTRUCTURE);
  end.set_node(node);
  end.set_rank(-1);
  end.set_message(fmt::format("node {} was not heard of for {} s: its lease has passed", node,
                              (now_.steady_ms - sessions_.at(node).heard_steady_ms) / 1000));
  if (!jobs.empty()) {
    Suspect(node, cluster_.jobs.at(*jobs.begin()).attempt().token(), end);
  }
  ChangeNodeState(node, Node::LOST);
  NoteStrangers({}, sessions_.at(node));
  for (const uint64_t id : jobs) EndPart(cluster_.jobs.at(id), node, end);
  for (const uint64_t id : jobs) Settle(id);
}

void Core::FindAgain(const std::string& node) {
  ChangeNodeState(node, Node::UP);
  const std::set<uint64_t> jobs = cluster_.loads[node].jobs;
  for (const uint64_t id : jobs) BecomeKnown(cluster_.jobs.at(id));
}

// An UNKNOWN job is what it was before once none of its nodes is silent.
void Core::BecomeKnown(const Job& job) {
  if (job.state() != UNKNOWN) return;
  for (const std::string& name : NodesOf(job.attempt())) {
    const Node* node = cluster_.FindNode(name);
    if (PartHasEnded(job.attempt(), name) || node == nullptr) continue;
    if (node->state() == Node::SILENT) return;
  }
  HistoryEvent event = NewEvent();
  *event.mutable_attempt_found_again()->mutable_token() = job.attempt().token();
  event.mutable_attempt_found_again()->set_state(StateBehindUnknown(job.attempt()));
  Emit(std::move(event));
}

// A signal may be the program's own doing, and of two nodes that don't reach each other one may be
// sound: over and over from one job, they count once.
void Core::Suspect(const std::string& name, const AttemptToken& token, const AttemptEnd& end) {
  const Node* node = cluster_.FindNode(name);
  if (node == nullptr || node->state() == Node::LOST) return;
  // A fault is of one of the cluster's nodes, which Slurm itself watches.
  if (node->launcher() == "slurm") return;
  const bool is_doubtful = end.signal() != 0 || !end.unreached_node().empty();
  if (is_doubtful && node->suspected_by() == token.job()) return;
  HistoryEvent event = NewEvent();
  event.mutable_node_suspected()->set_node(name);
  *event.mutable_node_suspected()->mutable_token() = token;
  event.mutable_node_suspected()->set_suspicions(node->suspicions() + 1);
  if (!Emit(std::move(event))) return;
  if (node->suspicions() < options_.suspicion_limit || node->draining()) return;
  event = NewEvent();
  event.mutable_node_drained()->set_node(name);
  event.mutable_node_drained()->set_reason(
      fmt::format("{} faults in a row; the last: {}", node->suspicions(), end.message()));
  Emit(std::move(event));
}

}  // namespace tanren::coordinator
