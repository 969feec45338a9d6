// What administrators do to nodes and quotas.
#include <utility>

#include "coordinator/state/core.h"
#include "coordinator/state/request_fingerprint.h"
#include "coordinator/state/spec_check.h"
#include "fmt/format.h"

namespace tanren::coordinator {

// The event carries the request's id where it has one. False: it was answered before, or is wrong.
bool Core::BeginRequest(const std::string& user, const std::string& request_id,
                        uint64_t fingerprint, HistoryEvent& event) {
  if (request_id.empty()) return true;
  outcome_.status = CheckRequestId(request_id);
  if (!outcome_.status.ok() || AnswerAgain(user, request_id, fingerprint)) return false;
  event.set_request(user + "/" + request_id);
  event.set_request_fingerprint(fingerprint);
  return true;
}

void Core::Handle(const ChangeNodeInput& input) {
  HistoryEvent event = NewEvent();
  const uint64_t fingerprint =
      RequestFingerprint(fmt::format("node {} {}", static_cast<int>(input.kind), input.evict),
                         fmt::format("{} {}", input.node, input.reason));
  if (!BeginRequest(input.user, input.request_id, fingerprint, event)) return;
  if (cluster_.FindNode(input.node) == nullptr) {
    outcome_.status = absl::NotFoundError(fmt::format("there is no node \"{}\"", input.node));
    return;
  }
  switch (input.kind) {
    case ChangeNodeInput::Kind::kDrain:
      return Drain(input, std::move(event));
    case ChangeNodeInput::Kind::kResume:
      event.mutable_node_resumed()->set_node(input.node);
      Emit(std::move(event));
      return;
    case ChangeNodeInput::Kind::kRemove:
      return Remove(input.node, std::move(event));
  }
}

void Core::Drain(const ChangeNodeInput& input, HistoryEvent event) {
  event.mutable_node_drained()->set_node(input.node);
  event.mutable_node_drained()->set_reason(
      input.reason.empty() ? input.user : fmt::format("{}: {}", input.user, input.reason));
  if (!Emit(std::move(event)) || !input.evict) return;
  const std::set<uint64_t> jobs = cluster_.loads[input.node].jobs;
  for (const uint64_t id : jobs) {
    const Job& job = cluster_.jobs.at(id);
    if (job.attempt().stop_reason() != STOP_REASON_UNSPECIFIED) continue;
    Stop(job, NODE_DRAINED, fmt::format("node {}", input.node));
  }
}

void Core::Remove(const std::string& node, HistoryEvent event) {
  // Of a Slurm cluster that is away for good only an administrator can know that.
  const Node& known = cluster_.nodes.at(node);
  if (known.state() == Node::SILENT && known.launcher() == "slurm") Lose(node);
  const NodeLoad& load = cluster_.loads.at(node);
  if (!load.named.empty()) {
    outcome_.status = absl::FailedPreconditionError(fmt::format(
        "node {} holds job {}{}: drain it first", node, *load.named.begin(),
        load.named.size() > 1 ? fmt::format(" and {} more", load.named.size() - 1) : ""));
    return;
  }
  // What lives there without a job to hold the node keeps its job from being placed elsewhere: that
  // mustn't be forgotten before its lease has passed.
  const auto session = sessions_.find(node);
  if (session != sessions_.end() && !session->second.strangers.empty()) {
    outcome_.status = absl::FailedPreconditionError(fmt::format(
        "node {}: attempt {} still lives there; its agent ends it, or its lease does: try again "
        "in {} s",
        node, TokenText(*session->second.strangers.begin()),
        (options_.lease_ms + options_.grace_ms + 999) / 1000));
    return;
  }
  event.mutable_node_removed()->set_node(node);
  if (!Emit(std::move(event))) return;
  if (session != sessions_.end()) sessions_.erase(session);
}

void Core::Handle(const SetQuotaInput& input) {
  HistoryEvent event = NewEvent();
  const uint64_t fingerprint = RequestFingerprint("quota", Serialized(input.quota));
  if (!BeginRequest(input.user, input.request_id, fingerprint, event)) return;
  outcome_.status = CheckQuota(input.quota);
  if (!outcome_.status.ok()) return;
  *event.mutable_quota_set()->mutable_quota() = input.quota;
  Emit(std::move(event));
}

}  // namespace tanren::coordinator
