// What agents are told while nothing can be written: that leases go on for what is durable.
#ifndef TANREN_COORDINATOR_STATE_RENEWAL_H_
#define TANREN_COORDINATOR_STATE_RENEWAL_H_

#include <cstdint>
#include <string>

#include "coordinator/state/cluster.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

// Whether the agent that says this of its machine is the one that the cluster knows, so that what
// the machine holds is known to it. One that isn't joins by an event, or not at all.
bool IsKnownAs(const Node& told, const Cluster& cluster);

// Orders that name nothing: what all orders say beside their parts. Times in milliseconds.
Orders OrdersWithoutParts(const Cluster& cluster, int64_t lease_ms, uint64_t sequence,
                          uint64_t report);

// Renews the lease of `node` for all that it holds: nothing begins by it; what has ended there as
// far as we know, or is not held there, ends, as by any orders. `sequence` and `report` are the
// orders' own.
Orders RenewalOnly(const Cluster& cluster, const std::string& node, int64_t lease_ms,
                   uint64_t sequence, uint64_t report);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_RENEWAL_H_
