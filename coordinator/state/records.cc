#include "coordinator/state/records.h"

#include <utility>
#include <vector>

#include "coordinator/state/node_load.h"
#include "fmt/format.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

Ledger LedgerOf(const Cluster& cluster) {
  Ledger ledger;
  ledger.set_epoch(cluster.epoch);
  ledger.set_next_job(cluster.next_job);
  ledger.set_last_sequence(cluster.last_sequence);
  ledger.set_unsettled(cluster.unsettled);
  ledger.set_requests_forgotten_before_ms(cluster.requests_forgotten_before_ms);
  return ledger;
}

template <typename Map>
void SetValue(const Map& map, const typename Map::key_type& key, Record& record) {
  const auto found = map.find(key);
  record.erase = found == map.end();
  if (!record.erase) record.value = Serialized(found->second);
}

absl::Status Unfit(const Record& record, std::string_view why) {
  return absl::DataLossError(
      fmt::format("record {} of kind {} {}", record.key, static_cast<int>(record.kind), why));
}

template <typename Message>
absl::Status Parse(const Record& record, Message& message) {
  if (message.ParseFromString(record.value)) return absl::OkStatus();
  return Unfit(record, "doesn't parse");
}

std::string KeyOf(uint64_t id) { return JobKey(id); }
const std::string& KeyOf(const std::string& name) { return name; }

// `name_of` says under which key the message belongs.
template <typename Map, typename NameOf>
absl::Status ParseInto(const Record& record, Map& map, NameOf name_of) {
  typename Map::mapped_type message;
  TANREN_RETURN_IF_ERROR(Parse(record, message));
  const auto name = name_of(message);
  if (KeyOf(name) != record.key) return Unfit(record, "holds what belongs under another key");
  if (!map.emplace(name, std::move(message)).second) return Unfit(record, "comes twice");
  return absl::OkStatus();
}

absl::Status ReadLedger(const Record& record, Cluster& cluster) {
  Ledger ledger;
  TANREN_RETURN_IF_ERROR(Parse(record, ledger));
  cluster.epoch = ledger.epoch();
  cluster.next_job = ledger.next_job();
  cluster.last_sequence = ledger.last_sequence();
  cluster.unsettled = ledger.unsettled();
  cluster.requests_forgotten_before_ms = ledger.requests_forgotten_before_ms();
  return absl::OkStatus();
}

absl::Status Read(const Record& record, Cluster& cluster) {
  switch (record.kind) {
    case RecordKind::kLedger:
      return ReadLedger(record, cluster);
    case RecordKind::kJob:
      return ParseInto(record, cluster.jobs, [](const Job& job) { return job.id(); });
    case RecordKind::kNode:
      return ParseInto(record, cluster.nodes, [](const Node& node) { return node.name(); });
    case RecordKind::kQuota:
      return ParseInto(record, cluster.quotas, [](const Quota& quota) { return quota.subject(); });
    case RecordKind::kUsage:
      return ParseInto(record, cluster.usage, [](const Usage& usage) { return usage.subject(); });
    case RecordKind::kRequest:
      return ParseInto(record, cluster.requests, [&](const RequestAnswer&) { return record.key; });
    case RecordKind::kCredential:
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status CheckWhole(const Cluster& cluster) {
  for (const auto& [id, job] : cluster.jobs) {
    if (id == 0 || id >= cluster.next_job) {
      return absl::DataLossError(fmt::format(
          "job {} has an id that was not given yet: the next is {}", id, cluster.next_job));
    }
    if (!HoldsNodes(job.state())) continue;
    for (const std::string& node : NodesOf(job.attempt())) {
      if (cluster.FindNode(node) == nullptr) {
        return absl::DataLossError(
            fmt::format("job {} holds node {}, of which there is no record", id, node));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string JobKey(uint64_t id) { return fmt::format("{:020}", id); }

std::string Serialized(const google::protobuf::MessageLite& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

Record MakeRecord(const RecordName& name, const Cluster& cluster) {
  Record record;
  record.kind = name.first;
  record.key = name.second;
  switch (name.first) {
    case RecordKind::kLedger:
      record.value = Serialized(LedgerOf(cluster));
      break;
    case RecordKind::kJob:
      SetValue(cluster.jobs, std::stoull(name.second), record);
      break;
    case RecordKind::kNode:
      SetValue(cluster.nodes, name.second, record);
      break;
    case RecordKind::kQuota:
      SetValue(cluster.quotas, name.second, record);
      break;
    case RecordKind::kUsage:
      SetValue(cluster.usage, name.second, record);
      break;
    case RecordKind::kRequest:
      SetValue(cluster.requests, name.second, record);
      break;
    case RecordKind::kCredential:
      break;
  }
  return record;
}

std::vector<Record> Records(const Cluster& cluster) {
  std::vector<Record> records;
  const auto add = [&](RecordKind kind, const std::string& key) {
    records.push_back(MakeRecord({kind, key}, cluster));
  };
  add(RecordKind::kLedger, "");
  for (const auto& [id, job] : cluster.jobs) add(RecordKind::kJob, JobKey(id));
  for (const auto& [name, node] : cluster.nodes) add(RecordKind::kNode, name);
  for (const auto& [subject, quota] : cluster.quotas) add(RecordKind::kQuota, subject);
  for (const auto& [subject, usage] : cluster.usage) add(RecordKind::kUsage, subject);
  for (const auto& [key, answer] : cluster.requests) add(RecordKind::kRequest, key);
  return records;
}

absl::StatusOr<Cluster> Restore(const std::vector<Record>& records) {
  Cluster cluster;
  for (const Record& record : records) TANREN_RETURN_IF_ERROR(Read(record, cluster));
  TANREN_RETURN_IF_ERROR(CheckWhole(cluster));
  for (const auto& [name, node] : cluster.nodes) cluster.loads[name] = IdleLoad(node);
  for (const auto& [id, job] : cluster.jobs) AddToIndices(job, cluster);
  for (const auto& [key, answer] : cluster.requests) {
    if (answer.at_ms() != 0) cluster.requests_by_time.insert({answer.at_ms(), key});
  }
  return cluster;
}

}  // namespace tanren::coordinator
