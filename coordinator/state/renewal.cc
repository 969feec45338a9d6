#include "coordinator/state/renewal.h"

namespace tanren::coordinator {

bool IsKnownAs(const Node& told, const Cluster& cluster) {
  const Node* known = cluster.FindNode(told.name());
  return known != nullptr && known->incarnation() == told.incarnation();
}

Orders OrdersWithoutParts(const Cluster& cluster, int64_t lease_ms, uint64_t sequence,
                          uint64_t report) {
  Orders orders;
  orders.set_sequence(sequence);
  orders.set_epoch(cluster.epoch);
  orders.set_renewed_report(report);
  orders.set_lease_ms(lease_ms);
  return orders;
}

Orders RenewalOnly(const Cluster& cluster, const std::string& node, int64_t lease_ms,
                   uint64_t sequence, uint64_t report) {
  Orders orders = OrdersWithoutParts(cluster, lease_ms, sequence, report);
  const auto load = cluster.loads.find(node);
  if (load == cluster.loads.end()) return orders;
  for (const uint64_t id : load->second.named) {
    const Attempt& attempt = cluster.jobs.at(id).attempt();
    PartOrder& order = *orders.add_parts();
    *order.mutable_token() = attempt.token();
    if (PartHasEnded(attempt, node)) order.set_stop(PART_FAILED);
  }
  return orders;
}

}  // namespace tanren::coordinator
