#include "coordinator/server/agent_stream.h"

#include <utility>
#include <vector>

#include "coordinator/wire/channel.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

// Messages that wait for an agent which takes none: log questions are one for each follower and
// rank, remote starts one for each node of a gang.
constexpr size_t kWaitingMessages = 16'384;
// Before it has joined an agent sends a report and what it could not send earlier.
constexpr size_t kEarlyMessages = 256;

// Whether an attempt is on both nodes: also where its part has ended on one, whose daemon's end is
// still to be told.
bool ShareJob(const Cluster& cluster, const std::string& one, const std::string& other) {
  const auto first = cluster.loads.find(one);
  const auto second = cluster.loads.find(other);
  if (first == cluster.loads.end() || second == cluster.loads.end()) return false;
  for (const uint64_t job : first->second.named) {
    if (second->second.named.contains(job)) return true;
  }
  return false;
}

}  // namespace

void AgentStream::OnReadDone(bool ok) {
  if (!ok) {
    End(grpc::Status::OK);
    return;
  }
  if (Handle()) this->StartRead(&incoming_);
}

bool AgentStream::Handle() {
  if (node_.empty()) return HandleJoin();
  {
    const std::lock_guard lock(mutex_);
    if (!joined_) {
      if (early_.size() < kEarlyMessages) early_.push_back(std::move(incoming_));
      return true;
    }
  }
  return Dispatch(incoming_);
}

bool AgentStream::Dispatch(AgentMessage& message) {
  switch (message.kind_case()) {
    case AgentMessage::kReport:
      PostReport(std::move(*message.mutable_report()));
      return true;
    case AgentMessage::kLogChunk:
      HandleLogChunk(std::move(*message.mutable_log_chunk()));
      return true;
    case AgentMessage::kRemoteStart:
      HandleRemoteStart(std::move(*message.mutable_remote_start()));
      return true;
    case AgentMessage::kRemoteEnd:
      HandleRemoteEnd(std::move(*message.mutable_remote_end()));
      return true;
    case AgentMessage::kJoin:
      End(ToGrpc(absl::FailedPreconditionError("this stream has joined already")));
      return false;
    case AgentMessage::KIND_NOT_SET:
      return true;  // of a later version
  }
  return true;
}

bool AgentStream::HandleJoin() {
  if (!incoming_.has_join()) {
    End(ToGrpc(absl::FailedPreconditionError("the first message of a stream is a join")));
    return false;
  }
  const absl::Status checked = CheckJoin(incoming_.join());
  if (!checked.ok()) {
    End(ToGrpc(checked));
    return false;
  }
  node_ = incoming_.join().name();
  if (const absl::Status joiner = CheckJoiner(); !joiner.ok()) {
    Refuse(joiner);
    return false;
  }
  const absl::Status posted =
      parts_.loop.ReadOfAgent([self = Self()](const absl::Status& status, const View* view) {
        if (!status.ok()) return self->End(ToGrpc(status));
        self->Join(*view);
      });
  if (!posted.ok()) End(ToGrpc(posted));
  return posted.ok();
}

absl::Status AgentStream::CheckJoiner() {
  TANREN_ASSIGN_OR_RETURN(const bool vouched,
                          IsVouchedFor(identity_, node_, parts_.admission.credentials()));
  TANREN_ASSIGN_OR_RETURN(std::string hash, HashOfNodeKey(incoming_.node_key()));
  join_ = {std::move(*incoming_.mutable_join()), stream_, vouched};
  *join_.node.mutable_agent_key_sha256() = std::move(hash);
  incoming_.Clear();
  return absl::OkStatus();
}

void AgentStream::Join(const View& view) {
  const Node* const known = view.core.cluster().FindNode(node_);
  if (const absl::Status claim = CheckClaim(join_, known); !claim.ok()) return Refuse(claim);
  claims_ = !join_.node.agent_key_sha256().empty() &&
            (known == nullptr || known->agent_key_sha256() != join_.node.agent_key_sha256());
  const absl::Status posted = parts_.agents.Join(node_, Self(), [this] {
    return parts_.loop.PostOfAgent(
        join_, [self = Self()](const Answer& answer) { self->OnJoined(answer.status); });
  });
  bool closed = false;
  {
    const std::lock_guard lock(mutex_);
    closed = closed_;
  }
  if (closed) return Leave();  // meanwhile
  if (!posted.ok()) return End(ToGrpc(posted));
  HandleEarly();
}

void AgentStream::HandleEarly() {
  while (true) {
    AgentMessage message;
    {
      const std::lock_guard lock(mutex_);
      joined_ = early_.empty();
      if (joined_) return;
      message = std::move(early_.front());
      early_.pop_front();
    }
    if (!Dispatch(message)) return;
  }
}

void AgentStream::OnJoined(const absl::Status& status) {
  if (!status.ok()) return Refuse(status);
  if (claims_) {
    NoteInAudit(fmt::format("node {}: claimed with token {}", node_, identity_.token), status);
  }
  parts_.agents.Accept(node_, this);
}

void AgentStream::Refuse(const absl::Status& status) {
  if (absl::IsPermissionDenied(status) && refused_.IsNews(node_)) {
    LogWarning("{} was refused: {}", identity_.peer, std::string(status.message()));
    NoteInAudit(fmt::format("node {} with token {}", node_, identity_.token), status);
  }
  End(ToGrpc(status));
}

void AgentStream::NoteInAudit(const std::string& what, const absl::Status& outcome) {
  if (parts_.audit == nullptr) return;
  const absl::Status written = parts_.audit->Append(
      {SystemNow().wall_ms, identity_.user, "Agents.Serve", what, "", outcome});
  if (!written.ok()) LogError("audit: {}", std::string(written.message()));
}

// An agent that reports faster than the loop takes it has its newest report taken.
void AgentStream::PostReport(NodeReport report) {
  {
    const std::lock_guard lock(mutex_);
    if (report_posted_) {
      report_ = std::move(report);
      return;
    }
    report_posted_ = true;
  }
  const absl::Status posted = parts_.loop.PostOfAgent(
      ReportInput{node_, std::move(report), stream_},
      [self = Self()](const Answer& answer) { self->OnReportAnswered(answer.status); });
  // The agent reports again soon.
  if (!posted.ok()) OnReportAnswered(absl::OkStatus());
}

void AgentStream::OnReportAnswered(const absl::Status& status) {
  if (!status.ok() && !absl::IsUnavailable(status)) {
    End(ToGrpc(status));
    return;
  }
  std::optional<NodeReport> next;
  {
    const std::lock_guard lock(mutex_);
    report_posted_ = false;
    next = std::exchange(report_, std::nullopt);
  }
  if (next.has_value()) PostReport(*std::move(next));
}

void AgentStream::HandleLogChunk(LogChunk chunk) {
  LogAnswered answered;
  {
    const std::lock_guard lock(mutex_);
    const auto found = asked_.find(chunk.request());
    if (found == asked_.end()) return;
    answered = std::move(found->second);
    asked_.erase(found);
  }
  answered(std::move(chunk));
}

void AgentStream::HandleRemoteStart(RemoteStart start) {
  auto refuse = [self = Self(), request = start.request()](const std::string& why) {
    CoordinatorMessage message;
    message.mutable_remote_end()->set_request(request);
    message.mutable_remote_end()->set_to(self->node_);
    message.mutable_remote_end()->set_exit_code(255);
    message.mutable_remote_end()->set_message(why);
    self->Forward(std::move(message));
  };
  if (start.from() != node_) {
    refuse(fmt::format("a request of {} came from {}", start.from(), node_));
    return;
  }
  const absl::Status posted =
      parts_.loop.ReadOfAgent([refuse, agents = &parts_.agents, start](const absl::Status& status,
                                                                       const View* view) mutable {
        if (!status.ok()) return refuse(std::string(status.message()));
        for (const std::string& node : {start.from(), start.to()}) {
          if (view->core.MayAct(start.token(), node)) continue;
          return refuse(
              fmt::format("{} may not act for attempt {} now", node, TokenText(start.token())));
        }
        const std::string to = start.to();
        CoordinatorMessage message;
        *message.mutable_remote_start() = std::move(start);
        if (!agents->Forward(to, std::move(message))) refuse(to + " isn't connected");
      });
  if (!posted.ok()) refuse(std::string(posted.message()));
}

void AgentStream::HandleRemoteEnd(RemoteEnd end) {
  const absl::Status posted =
      parts_.loop.ReadOfAgent([self = Self(), end](const absl::Status& status, const View* view) {
        if (!status.ok()) return;
        if (!ShareJob(view->core.cluster(), self->node_, end.to())) {
          LogWarning("node {}: the end of a daemon for {} isn't passed on: they share no job",
                     self->node_, end.to());
          return;
        }
        self->parts_.agents.ForwardEnd(end);
      });
  if (!posted.ok()) LogWarning("node {}: the end of a daemon wasn't passed on", node_);
}

void AgentStream::SendOrders(const Orders& orders) {
  {
    const std::lock_guard lock(mutex_);
    orders_ = orders;
  }
  Pump();
}

bool AgentStream::AskLog(ReadLogChunk request, LogAnswered answered) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || end_.has_value() || messages_.size() >= kWaitingMessages ||
        asked_.size() >= kWaitingMessages) {
      return false;
    }
    request.set_request(next_request_++);
    asked_.emplace(request.request(), std::move(answered));
    *messages_.emplace_back().mutable_read_log() = std::move(request);
  }
  Pump();
  return true;
}

bool AgentStream::Forward(CoordinatorMessage message) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || end_.has_value() || messages_.size() >= kWaitingMessages) return false;
    messages_.push_back(std::move(message));
  }
  Pump();
  return true;
}

void AgentStream::Replace(const absl::Status& status) {
  End(ToGrpc(status));
  // It may be stuck: the node's next stream mustn't wait for it.
  Cancel();
}

bool AgentStream::Next(CoordinatorMessage& message) {
  message.Clear();
  if (orders_.has_value()) {
    *message.mutable_orders() = *std::exchange(orders_, std::nullopt);
    return true;
  }
  if (messages_.empty()) return false;
  message = std::move(messages_.front());
  messages_.pop_front();
  return true;
}

void AgentStream::Closed() {
  std::map<uint64_t, LogAnswered> asked;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    asked.swap(asked_);
  }
  for (auto& [request, answered] : asked) {
    answered(absl::UnavailableError("the stream of node " + node_ + " ended"));
  }
  if (!node_.empty()) Leave();
}

void AgentStream::Leave() {
  parts_.agents.Leave(node_, this, [this] {
    LogInfo("node {}: its stream ended", node_);
    return parts_.loop.PostOfAgent(LeaveInput{node_, stream_}, nullptr);
  });
}

}  // namespace tanren::coordinator
