#include <utility>

#include "coordinator/state/apply_event.h"
#include "coordinator/state/node_load.h"
#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

absl::StatusOr<Node*> KnownNode(const std::string& name, const EventContext& context) {
  const auto found = context.cluster.nodes.find(name);
  if (found == context.cluster.nodes.end()) {
    return absl::InternalError(fmt::format("there is no node {}", name));
  }
  context.names.insert({RecordKind::kNode, name});
  return &found->second;
}

absl::Status ApplyJoined(const EventContext& context) {
  const Node& node = context.event.node_joined().node();
  if (node.name().empty()) return absl::InternalError("a node without a name");
  context.cluster.nodes[node.name()] = node;
  RecountLoad(node.name(), context.cluster);
  context.names.insert({RecordKind::kNode, node.name()});
  return absl::OkStatus();
}

absl::Status ApplyStateChanged(const EventContext& context) {
  const auto& changed = context.event.node_state_changed();
  TANREN_ASSIGN_OR_RETURN(Node * node, KnownNode(changed.node(), context));
  node->set_state(changed.state());
  return absl::OkStatus();
}

absl::Status ApplyDrained(const EventContext& context) {
  const auto& drained = context.event.node_drained();
  TANREN_ASSIGN_OR_RETURN(Node * node, KnownNode(drained.node(), context));
  node->set_draining(true);
  node->set_drain_reason(drained.reason());
  return absl::OkStatus();
}

absl::Status ApplyResumed(const EventContext& context) {
  TANREN_ASSIGN_OR_RETURN(Node * node, KnownNode(context.event.node_resumed().node(), context));
  node->set_draining(false);
  node->clear_drain_reason();
  node->set_suspicions(0);
  node->set_suspected_by(0);
  return absl::OkStatus();
}

absl::Status ApplySuspected(const EventContext& context) {
  const auto& suspected = context.event.node_suspected();
  TANREN_ASSIGN_OR_RETURN(Node * node, KnownNode(suspected.node(), context));
  node->set_suspicions(suspected.suspicions());
  node->set_suspected_by(suspected.suspicions() == 0 ? 0 : suspected.token().job());
  return absl::OkStatus();
}

absl::Status ApplyRemoved(const EventContext& context) {
  const std::string& name = context.event.node_removed().node();
  TANREN_ASSIGN_OR_RETURN(Node * node, KnownNode(name, context));
  if (!context.cluster.loads[name].named.empty()) {
    return absl::InternalError(fmt::format("node {} still holds jobs", node->name()));
  }
  context.cluster.nodes.erase(name);
  context.cluster.loads.erase(name);
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyNodeEvent(const EventContext& context) {
  switch (context.event.kind_case()) {
    case HistoryEvent::kNodeJoined:
      return ApplyJoined(context);
    case HistoryEvent::kNodeStateChanged:
      return ApplyStateChanged(context);
    case HistoryEvent::kNodeDrained:
      return ApplyDrained(context);
    case HistoryEvent::kNodeResumed:
      return ApplyResumed(context);
    case HistoryEvent::kNodeSuspected:
      return ApplySuspected(context);
    default:
      return ApplyRemoved(context);
  }
}

}  // namespace tanren::coordinator
