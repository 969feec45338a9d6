// What each node is told to hold.
#include <algorithm>
#include <utility>

#include "coordinator/state/core.h"
#include "coordinator/state/renewal.h"

namespace tanren::coordinator {
namespace {

// Nothing is worth saving, or nothing can be saved any more: collectives are broken.
constexpr int64_t kShortGraceMs = 5'000;
// And mpirun, asked to end, would wait that long for its daemon on a machine that is gone.
constexpr int64_t kGraceWithoutNodeMs = 500;

bool MaySave(StopReason reason) {
  return reason == PREEMPTED || reason == TIME_LIMIT || reason == NODE_DRAINED ||
         reason == REQUEUED_BY_USER;
}

int64_t GraceMs(StopReason reason, int64_t longest_ms) {
  if (MaySave(reason)) return longest_ms;
  return std::min(reason == NODE_LOST ? kGraceWithoutNodeMs : kShortGraceMs, longest_ms);
}

}  // namespace

Orders Core::MakeOrders(const std::string& node, Session& session) const {
  Orders orders =
      OrdersWithoutParts(cluster_, options_.lease_ms, ++session.last_orders, session.last_report);
  const auto load = cluster_.loads.find(node);
  if (load == cluster_.loads.end()) return orders;
  for (const uint64_t id : load->second.named) {
    *orders.add_parts() =
        MakeOrder(cluster_.jobs.at(id), node, &session.parts[id], orders.sequence());
  }
  return orders;
}

PartOrder Core::MakeOrder(const Job& job, const std::string& node, Part* part,
                          uint64_t orders) const {
  const Attempt& attempt = job.attempt();
  PartOrder order;
  *order.mutable_token() = attempt.token();
  // An agent that knows nothing of it would begin it a second time, or call it ended.
  if (now_.steady_ms < part->unlisted_until_ms) return order;
  StopReason stop = attempt.stop_reason();
  if (stop == STOP_REASON_UNSPECIFIED && PartHasEnded(attempt, attempt.placements(0).node())) {
    stop = HEAD_ENDED;
  }
  if (stop == STOP_REASON_UNSPECIFIED && PartHasEnded(attempt, node)) stop = PART_FAILED;
  // Nothing begins where a part of its gang has ended already.
  const bool begun = part->seen || attempt.running_ms() != 0;
  if (stop == STOP_REASON_UNSPECIFIED && !begun && attempt.ended_nodes_size() > 0) {
    stop = PART_FAILED;
  }
  if (stop != STOP_REASON_UNSPECIFIED) {
    order.set_stop(stop);
    order.set_grace_ms(GraceMs(stop, options_.stop_grace_ms));
    if (part->stop_order == 0) part->stop_order = orders;
    return order;
  }
  if (begun) return order;
  PartSpec& start = *order.mutable_start();
  *start.mutable_token() = attempt.token();
  start.set_user(job.user());
  *start.mutable_spec() = job.spec();
  *start.mutable_placements() = attempt.placements();
  for (const std::string& name : NodesOf(attempt)) {
    const Node* of_gang = cluster_.FindNode(name);
    if (of_gang == nullptr) continue;
    (*start.mutable_addresses())[name] = of_gang->address();
    if (!of_gang->reach().empty()) (*start.mutable_reach())[name] = of_gang->reach();
  }
  if (job.has_checkpoint()) *start.mutable_resume() = job.checkpoint();
  start.set_array_index(job.array_index());
  return order;
}

}  // namespace tanren::coordinator
