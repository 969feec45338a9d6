#include "coordinator/agent/agent.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <utility>
#include <variant>

#include "coordinator/agent/remembered_epoch.h"
#include "coordinator/launch/part_folder.h"
#include "coordinator/state/cluster.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/base/fail_point.h"
#include "runtime/base/log.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

// How often what can't wake us is looked at.
constexpr int64_t kLongestSleepMs = 1'000;

}  // namespace

Agent::Agent(AgentSettings settings, Connection& connection, Launcher& launcher, Wake& wake,
             std::shared_ptr<Outbox> outbox, AgentMetrics& metrics,
             std::function<void(const RemoteEnd&)> remote_end)
    : settings_(std::move(settings)),
      connection_(connection),
      launcher_(launcher),
      wake_(wake),
      outbox_(std::move(outbox)),
      metrics_(metrics),
      remote_end_(std::move(remote_end)),
      core_(settings_.core, settings_.epoch, launcher.Deadline()),
      logs_(launcher) {
  launcher_.OnChange([this] {
    parts_changed_ = true;
    wake_();
  });
}

AgentOutcome Agent::Run(int signals) {
  while (true) {
    TakeSignals(signals);
    if (std::exchange(replace_, false)) return AgentOutcome::kReplace;
    connection_.Act(SteadyMs());
    metrics_.SetCertificateEnd(connection_.certificate_expires_ms());
    TakeEvents(SteadyMs());
    if (parts_changed_.exchange(false)) {
      std::vector<PartReport> parts = launcher_.Parts();
      LogChanges(parts);
      metrics_.SetParts(parts);
      core_.OnParts(std::move(parts), SteadyMs());
    }
    Obey(core_.Act(SteadyMs()));
    if (connection_.is_open()) {
      for (AgentMessage& message : outbox_->Take()) connection_.Send(std::move(message));
    }
    SendChunks(logs_.Look(SteadyMs()));
    if (core_.deadline_ms() != 0)
      metrics_.SetLease(static_cast<double>(core_.deadline_ms() - SteadyMs()) / 1000);
    if (ending_ && !StopParts()) return AgentOutcome::kEnded;
    Sleep(signals);
  }
}

void Agent::Sleep(int signals) {
  const int64_t now = SteadyMs();
  const int64_t next = std::min(
      {core_.NextCall(now), connection_.NextCall(), logs_.NextCall(), now + kLongestSleepMs});
  pollfd waits[] = {{wake_.descriptor(), POLLIN, 0}, {signals, POLLIN, 0}};
  poll(waits, 2, static_cast<int>(std::max<int64_t>(next - now, 0)));
  wake_.Clear();
}

void Agent::TakeSignals(int signals) {
  signalfd_siginfo signal = {};
  while (read(signals, &signal, sizeof(signal)) == sizeof(signal)) {
    if (signal.ssi_signo == SIGHUP) {
      LogInfo("SIGHUP: this agent is replaced by what its program is now; its parts go on");
      replace_ = true;
    } else {
      LogInfo("{}: ending{}", signal.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT",
              settings_.stop_parts ? "; what runs here saves and stops first"
                                   : "; what runs here goes on until its lease has passed");
      ending_ = true;
    }
  }
}

void Agent::TakeEvents(int64_t now_ms) {
  for (const ConnectionEvent& event : connection_.Take()) {
    if (const auto* message = std::get_if<CoordinatorMessage>(&event)) {
      TakeMessage(*message, now_ms);
    } else if (const auto* opened = std::get_if<StreamOpened>(&event)) {
      LogInfo("connected to the coordinator, version {}, epoch {}", ForTerminal(opened->version),
              opened->epoch);
      unreachable_told_ = false;
      metrics_.SetConnected(true);
      core_.Connected();
    } else {
      const absl::Status& status = std::get<StreamClosed>(event).status;
      if (!unreachable_told_) {
        LogWarning("not connected to the coordinator: {}; trying on",
                   ForTerminal(std::string(status.message())));
      }
      unreachable_told_ = true;
      metrics_.SetConnected(false);
      core_.Disconnected();
      logs_.Clear();
    }
  }
}

void Agent::TakeMessage(const CoordinatorMessage& message, int64_t now_ms) {
  switch (message.kind_case()) {
    case CoordinatorMessage::kOrders:
      core_.OnOrders(message.orders(), now_ms);
      break;
    case CoordinatorMessage::kReadLog:
      SendChunks(logs_.Add(message.read_log(), now_ms));
      break;
    case CoordinatorMessage::kRemoteStart:
      StartRemote(message.remote_start());
      break;
    case CoordinatorMessage::kRemoteEnd:
      remote_end_(message.remote_end());
      break;
    case CoordinatorMessage::KIND_NOT_SET:
      break;  // of a later version
  }
}

void Agent::Obey(const AgentActions& actions) {
  if (actions.epoch) {
    const absl::Status remembered = RememberEpoch(settings_.state, *actions.epoch);
    // Until this process ends it knows all the same.
    if (!remembered.ok()) LogError("{}", std::string(remembered.message()));
    left_told_ = false;
  }
  if (actions.leave) {
    if (actions.superseded && !std::exchange(left_told_, true)) {
      LogWarning(
          "the coordinator here is of an epoch before {}, which this agent has obeyed: another has "
          "taken over from it, and it is not obeyed. If that one is gone for good, remove {}",
          core_.epoch(), (settings_.state / "epoch").string());
    }
    connection_.Leave();
  }
  // The lease first: nothing is started that could find it passed.
  if (actions.deadline_ms) launcher_.SetDeadline(*actions.deadline_ms);
  for (const PartSpec& part : actions.start) {
    if (ending_) continue;
    LogInfo("{}: starting ({})", TokenText(part.token()), ForTerminal(part.spec().name()));
    FailPoint("agent.starting").IgnoreError();
    launcher_.Start(part);
    metrics_.CountStart();
  }
  for (const AgentStop& stop : actions.stop) {
    LogInfo("{}: stopping ({}), within {} s", TokenText(stop.token),
            Words(StopReason_Name(stop.reason)), stop.grace_ms / 1000);
    launcher_.Stop(stop.token, stop.reason, stop.grace_ms);
    metrics_.CountStop();
  }
  for (const AttemptToken& token : actions.forget) {
    told_.erase(TokenText(token));
    launcher_.Forget(token);
  }
  if (!actions.start.empty() || !actions.stop.empty() || !actions.forget.empty()) {
    parts_changed_ = true;
  }
  if (actions.report) {
    AgentMessage message;
    *message.mutable_report() = *actions.report;
    connection_.Send(std::move(message));
    metrics_.CountReport();
    FailPoint("agent.reported").IgnoreError();
  }
}

void Agent::StartRemote(const RemoteStart& request) {
  // The answer may come when this agent is gone.
  const auto answer = [outbox = outbox_, request](const RemoteEnd& end) {
    AgentMessage message;
    *message.mutable_remote_end() = end;
    message.mutable_remote_end()->set_request(request.request());
    message.mutable_remote_end()->set_to(request.from());
    outbox->Put(std::move(message));
  };
  LogInfo("{}: {} starts its daemon here", TokenText(request.token()), request.from());
  const absl::Status status = launcher_.StartRemote(request, answer);
  if (status.ok()) return;
  RemoteEnd end;
  end.set_exit_code(1);
  end.set_message(std::string(status.message()));
  answer(end);
}

void Agent::SendChunks(std::vector<LogChunk> chunks) {
  for (LogChunk& chunk : chunks) {
    AgentMessage message;
    *message.mutable_log_chunk() = std::move(chunk);
    connection_.Send(std::move(message));
  }
}

void Agent::LogChanges(const std::vector<PartReport>& parts) {
  for (const PartReport& part : parts) {
    const std::string token = TokenText(part.token());
    PartState& told = told_[token];
    if (told == part.state()) continue;
    told = part.state();
    if (part.state() == PART_RUNNING) LogInfo("{}: running", token);
    if (part.state() == PART_ENDED) {
      const AttemptEnd& end = part.end();
      LogInfo("{}: ended, {}{}", token, Words(AttemptEnd::Kind_Name(end.kind())),
              end.message().empty() ? "" : ": " + OnOneLine(end.message()));
    }
  }
}

bool Agent::StopParts() {
  if (!settings_.stop_parts) return false;
  bool lives = false;
  for (const PartReport& part : launcher_.Parts()) {
    if (part.state() == PART_ENDED) continue;
    lives = true;
    launcher_.Stop(part.token(), NODE_DRAINED, settings_.stop_grace_ms);
  }
  return lives;
}

}  // namespace tanren::coordinator
