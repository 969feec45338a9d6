#include "tests/coordinator/simulation/machine.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "fmt/format.h"
#include "tests/coordinator/simulation/coordinator.h"
#include "tests/coordinator/simulation/gangs.h"
#include "tests/coordinator/simulation/network.h"

namespace tanren::coordinator::simulation {
namespace {

// A stream on which nothing was heard for so long is given up.
constexpr int64_t kStreamSilenceUs = 7 * kSecond;

}  // namespace

Machine::Machine(World& world, int node)
    : world_(world),
      node_(node),
      dice_(world.seed, Purpose::kMachine, static_cast<uint32_t>(node + 1)),
      clock_(dice_.Between(1'000, 100'000'000), dice_.Between(-200, 200)),
      incarnation_(fmt::format("{}-0", World::NodeName(node))),
      spools_(world.queue) {}

void Machine::At(int64_t time_us, std::function<void()> what) {
  world_.queue.At(time_us, [this, what = std::move(what), boot = boots_] {
    if (boot != boots_) return;
    if (suspended_) {
      deferred_.push_back(what);
    } else {
      what();
    }
  });
}

void Machine::Changed() {
  parts_changed_ = true;
  PumpAt(world_.now_us() + dice_.Between(100, 5'000));
}

// ------------------------------------------------------------------------ the agent's program

Node Machine::Description() const {
  const NodePlan& plan = world_.workload.nodes[static_cast<size_t>(node_)];
  Node node;
  node.set_name(World::NodeName(node_));
  node.set_address(fmt::format("10.0.{}.{}", node_ / 256, node_ % 256));
  for (int i = 0; i < plan.gpus; ++i) {
    Gpu* gpu = node.add_gpus();
    gpu->set_index(i);
    gpu->set_island(i / 4);
    gpu->set_memory_bytes(int64_t{80} << 30);
  }
  node.set_cpu_millis(plan.cpu_millis);
  node.set_memory_bytes(plan.memory_bytes);
  node.set_rack(plan.rack);
  node.set_launcher("local");
  node.set_incarnation(incarnation_);
  return node;
}

void Machine::StartAgent() {
  if (!on_ || core_ != nullptr) return;
  if (suspended_) return deferred_.push_back([this] { StartAgent(); });
  ++agent_runs_;
  world_.trace.Add(world_.now_us(), "agent starts", node_);
  core_ = std::make_unique<AgentCore>(world_.agent_options, epoch_, page_ms_);
  logs_ = std::make_unique<LogRequests>(spools_);
  paused_ = false;
  inbox_.clear();
  // A part whose supervisor was not forked any more never began.
  for (auto& [key, part] : parts_) {
    if (part.state == PART_STARTING && !part.lives && dice_.Chance(0.5)) {
      EndPart(part, AttemptEnd::NEVER_STARTED, "its agent died before it began");
    }
  }
  parts_changed_ = true;
  Connect();
}

void Machine::CrashAgent() {
  if (core_ == nullptr || suspended_) return;
  world_.trace.Add(world_.now_us(), "agent dies", node_);
  ++agent_runs_;
  core_.reset();
  paused_ = false;
  inbox_.clear();
  crash_at_action_us_ = -1;
  if (stream_ != 0) {
    world_.network->ToCoordinator(
        node_, [this, peer = peer_, stream = stream_] { peer->StreamEnded(stream, node_); });
  }
  stream_ = 0;
}

void Machine::PauseAgent() {
  if (core_ == nullptr || paused_) return;
  world_.trace.Add(world_.now_us(), "agent pauses", node_);
  paused_ = true;
}

void Machine::ResumeAgent() {
  if (core_ == nullptr || !paused_) return;
  world_.trace.Add(world_.now_us(), "agent goes on", node_);
  paused_ = false;
  if (!suspended_) ReadInbox();
}

// What came while it stood still is read as if it had come now.
void Machine::ReadInbox() {
  std::vector<std::function<void()>> inbox = std::exchange(inbox_, {});
  for (const auto& arrive : inbox) arrive();
  PumpAt(world_.now_us());
}

void Machine::Suspend() {
  if (!on_ || suspended_) return;
  world_.trace.Add(world_.now_us(), "machine is suspended", node_);
  suspended_ = true;
  for (const auto& [key, part] : parts_) {
    if (part.lives) world_.evidence->Suspended(node_, part.spec);
  }
  for (const Part& part : orphans_) world_.evidence->Suspended(node_, part.spec);
  world_.gangs->NodeSuspended(node_);
}

void Machine::GoOn() {
  if (!on_ || !suspended_) return;
  world_.trace.Add(world_.now_us(), "machine goes on", node_);
  suspended_ = false;
  went_on_us_ = world_.now_us();
  world_.gangs->NodeGoesOn(node_);
  // What was due is done in any order: processes, their watchers and the agent race.
  for (auto& what : std::exchange(deferred_, {})) {
    After(dice_.Between(0, 300) * kMillisecond, std::move(what));
  }
  After(kAwakeUs, [this, went_on_us = went_on_us_] {
    if (went_on_us == went_on_us_) WakeParts();
  });
  After(dice_.Between(0, 300) * kMillisecond, [this] {
    if (core_ != nullptr && !paused_) ReadInbox();
  });
}

void Machine::PowerOff(bool lose_disk) {
  if (!on_) return;
  world_.trace.Add(world_.now_us(), lose_disk ? "machine goes for ever" : "machine goes off",
                   node_);
  on_ = false;
  suspended_ = false;
  deferred_.clear();
  ++boots_;
  ++agent_runs_;
  core_.reset();
  paused_ = false;
  inbox_.clear();
  stream_ = 0;
  watches_deadline_ = false;
  spools_.CutOpen(dice_);
  for (Part& part : orphans_) EndPart(part, AttemptEnd::INFRASTRUCTURE, "power off");
  orphans_.clear();
  for (auto& [key, part] : parts_) {
    if (part.state != PART_ENDED) {
      EndPart(part, AttemptEnd::INFRASTRUCTURE, "the machine went off");
    }
  }
  if (!lose_disk) return;
  parts_.clear();
  spools_.Clear();
  epoch_ = 0;
  incarnation_ = fmt::format("{}-{}", World::NodeName(node_), ++folders_);
}

void Machine::PowerOn() {
  if (on_) return;
  world_.trace.Add(world_.now_us(), "machine boots", node_);
  on_ = true;
  clock_.Reboot(world_.now_us());
  page_ms_ = 0;
  StartAgent();
}

void Machine::LoseFolder() {
  if (suspended_) return;
  CrashAgent();
  world_.trace.Add(world_.now_us(), "agent's folder goes", node_);
  for (auto& [key, part] : parts_) {
    if (part.lives) orphans_.emplace_back(part).page_ms = page_ms_;
  }
  parts_.clear();
  spools_.Clear();
  page_ms_ = 0;
  epoch_ = 0;
  incarnation_ = fmt::format("{}-{}", World::NodeName(node_), ++folders_);
}

void Machine::BreakStream() {
  if (stream_ == 0 || core_ == nullptr || suspended_) return;
  world_.network->ToCoordinator(
      node_, [this, peer = peer_, stream = stream_] { peer->StreamEnded(stream, node_); });
  StreamRefused(stream_);
}

void Machine::Connect() {
  stream_ = world_.next_stream++;
  peer_ = &world_.CoordinatorFor(epoch_, dice_);
  heard_us_ = world_.now_us();
  world_.trace.Add(world_.now_us(), "agent connects", node_);
  core_->Connected();
  world_.network->ToCoordinator(node_, [this, peer = peer_, stream = stream_,
                                        node = Description()] { peer->Join(stream, node_, node); });
  WatchStream(stream_);
  PumpAt(world_.now_us());
}

void Machine::WatchStream(uint64_t stream) {
  After(kSecond, [this, stream] {
    if (stream_ != stream || core_ == nullptr) return;
    if (!paused_ && world_.now_us() - heard_us_ > kStreamSilenceUs) {
      Disconnect();
    } else {
      WatchStream(stream);
    }
  });
}

void Machine::Disconnect() {
  stream_ = 0;
  core_->Disconnected();
  logs_->Clear();
  PumpAt(world_.now_us());
  After(dice_.Between(100, 2'000) * kMillisecond, [this, run = agent_runs_] {
    if (run != agent_runs_ || stream_ != 0) return;
    if (paused_) {
      inbox_.push_back([this] {
        if (stream_ == 0) Connect();
      });
    } else {
      Connect();
    }
  });
}

bool Machine::Forwards(const AttemptToken& token, int node) const {
  return core_ != nullptr && stream_ != 0 && peer_->Forwards(token, node);
}

void Machine::Deliver(uint64_t stream, const Orders& orders) {
  if (core_ == nullptr || stream != stream_) return;
  if (StandsStill()) {
    inbox_.push_back([this, stream, orders] { Deliver(stream, orders); });
    return;
  }
  heard_us_ = world_.now_us();
  core_->OnOrders(orders, SteadyMs());
  Pump();
}

void Machine::AskLog(uint64_t stream, const ReadLogChunk& question) {
  if (core_ == nullptr || stream != stream_) return;
  if (StandsStill()) {
    inbox_.push_back([this, stream, question] { AskLog(stream, question); });
    return;
  }
  SendChunks(logs_->Add(question, SteadyMs()));
  LookAtLogs();
}

void Machine::LookAtLogs() {
  const int64_t next = logs_->NextCall();
  if (next == std::numeric_limits<int64_t>::max()) return;
  PumpAt(std::max(clock_.WhenUs(next), world_.now_us() + 500));
}

void Machine::SendChunks(std::vector<LogChunk> chunks) {
  if (stream_ == 0) return;
  for (LogChunk& chunk : chunks) {
    world_.network->ToCoordinator(node_,
                                  [peer = peer_, stream = stream_, chunk = std::move(chunk)] {
                                    peer->TakeChunk(stream, chunk);
                                  });
  }
}

void Machine::StreamRefused(uint64_t stream) {
  if (core_ == nullptr || stream != stream_) return;
  if (StandsStill()) {
    inbox_.push_back([this, stream] { StreamRefused(stream); });
    return;
  }
  Disconnect();
}

void Machine::PumpAt(int64_t time_us) {
  if (core_ == nullptr) return;
  if (pump_at_us_ >= world_.now_us() && pump_at_us_ <= time_us) return;
  pump_at_us_ = time_us;
  At(time_us, [this, time_us, run = agent_runs_] {
    if (run == agent_runs_ && pump_at_us_ == time_us) Pump();
  });
}

void Machine::Pump() {
  pump_at_us_ = -1;
  if (core_ == nullptr || StandsStill()) return;
  const int64_t now_ms = SteadyMs();
  if (parts_changed_ || core_->NextCall(now_ms) <= now_ms) {
    parts_changed_ = false;
    core_->OnParts(Parts(), now_ms);
  }
  Apply(core_->Act(now_ms));
  if (core_ == nullptr) return;
  SendChunks(logs_->Look(now_ms));
  const int64_t next = std::min(core_->NextCall(now_ms), logs_->NextCall());
  if (next < std::numeric_limits<int64_t>::max()) {
    PumpAt(std::max(clock_.WhenUs(next), world_.now_us() + 500));
  }
}

void Machine::Apply(AgentActions actions) {
  if (actions.epoch.has_value()) epoch_ = *actions.epoch;
  if (actions.leave) BreakStream();
  if (actions.deadline_ms.has_value()) {
    page_ms_ = *actions.deadline_ms;
    WatchDeadline();
  }
  const size_t count = actions.stop.size() + actions.start.size() + actions.forget.size();
  size_t left = count;
  const bool dies = crash_at_action_us_ >= 0 && count > 0;
  if (dies) left = static_cast<size_t>(dice_.Between(0, static_cast<int64_t>(count)));
  for (const AgentStop& stop : actions.stop) {
    if (left > 0) --left, StopPart(stop);
  }
  for (const PartSpec& part : actions.start) {
    if (left > 0) --left, Launch(part);
  }
  for (const AttemptToken& token : actions.forget) {
    if (left > 0) --left, parts_.erase(KeyOf(token));
  }
  if (dies) {
    const int64_t away_us = crash_at_action_us_;
    CrashAgent();
    After(away_us, [this] { StartAgent(); });
    return;
  }
  if (!actions.forget.empty()) parts_changed_ = true;
  if (!actions.report.has_value() || stream_ == 0) return;
  world_.network->ToCoordinator(node_,
                                [this, peer = peer_, stream = stream_, report = *actions.report] {
                                  peer->Report(stream, node_, report);
                                });
}

}  // namespace tanren::coordinator::simulation
