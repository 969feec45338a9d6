// One agent's stream: its reports go to the core, orders and questions go to it.
#ifndef TANREN_COORDINATOR_SERVER_AGENT_STREAM_H_
#define TANREN_COORDINATOR_SERVER_AGENT_STREAM_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "coordinator/server/agent_hub.h"
#include "coordinator/server/agent_identity.h"
#include "coordinator/server/coordinator_parts.h"
#include "coordinator/server/stream.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

using AgentReactor = grpc::ServerBidiReactor<AgentMessage, CoordinatorMessage>;

class AgentStream final : public Stream<AgentReactor, CoordinatorMessage>, public AgentLink {
 public:
  AgentStream(grpc::CallbackServerContext* context, const CoordinatorParts& parts,
              AgentIdentity identity, RefusedAgents& refused)
      : Stream(context, &parts.streams),
        parts_(parts),
        identity_(std::move(identity)),
        refused_(refused),
        stream_(parts.agents.NewStream()) {}

  void Begin() { this->StartRead(&incoming_); }

  void OnReadDone(bool ok) override;
  void Look() override {}

  void SendOrders(const Orders& orders) override;
  bool AskLog(ReadLogChunk request, LogAnswered answered) override;
  bool Forward(CoordinatorMessage message) override;
  void Replace(const absl::Status& status) override;

 private:
  bool Next(CoordinatorMessage& message) override;
  void Closed() override;

  // False ends the reading: the stream is over.
  bool Handle();
  bool HandleJoin();
  // Whether the agent may speak for the node, before it takes the place of one that does.
  absl::Status CheckJoiner();
  void Join(const View& view);
  void OnJoined(const absl::Status& status);
  void Refuse(const absl::Status& status);
  void NoteInAudit(const std::string& what, const absl::Status& outcome);
  void HandleEarly();
  void Leave();
  bool Dispatch(AgentMessage& message);
  void PostReport(NodeReport report);
  void OnReportAnswered(const absl::Status& status);
  void HandleLogChunk(LogChunk chunk);
  void HandleRemoteStart(RemoteStart start);
  void HandleRemoteEnd(RemoteEnd end);
  std::shared_ptr<AgentStream> Self() {
    return std::static_pointer_cast<AgentStream>(this->shared_from_this());
  }

  const CoordinatorParts parts_;
  const AgentIdentity identity_;
  RefusedAgents& refused_;
  AgentMessage incoming_;  // of the one read that is going on
  std::string node_;       // set by the first message, then constant
  JoinInput join_;         // likewise
  bool claims_ = false;    // the node's name was nobody's; of the loop's thread
  const uint64_t stream_;  // told apart from all others

  // Guarded by mutex_.
  std::optional<Orders> orders_;
  std::deque<CoordinatorMessage> messages_;
  std::map<uint64_t, LogAnswered> asked_;
  uint64_t next_request_ = 1;
  bool closed_ = false;
  bool joined_ = false;             // the join is on its way to the core
  std::deque<AgentMessage> early_;  // what came before that
  bool report_posted_ = false;      // one at a time; then the newest
  std::optional<NodeReport> report_;
};

// kInvalidArgument for a node that no agent of ours would say it is.
absl::Status CheckJoin(const Node& node);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_AGENT_STREAM_H_
