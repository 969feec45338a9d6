// Records of the store that stand for a cluster.
#ifndef TANREN_COORDINATOR_STATE_RECORDS_H_
#define TANREN_COORDINATOR_STATE_RECORDS_H_

#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "coordinator/state/cluster.h"
#include "coordinator/store/store.h"

namespace tanren::coordinator {

using RecordName = std::pair<RecordKind, std::string>;  // kind and key

// The id as 20 digits: text order is number order.
std::string JobKey(uint64_t id);

// What the cluster has under that name; to be erased where it has nothing.
Record MakeRecord(const RecordName& name, const Cluster& cluster);

// Apply without making records: the names of those that changed are added to `names`.
absl::Status ApplyAndName(const HistoryEvent& event, Cluster& cluster, std::set<RecordName>& names);

// Bytes that are equal for equal messages, maps included.
std::string Serialized(const google::protobuf::MessageLite& message);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_RECORDS_H_
