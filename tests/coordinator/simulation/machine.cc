#include "tests/coordinator/simulation/machine.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "tests/coordinator/simulation/coordinator.h"
#include "tests/coordinator/simulation/gangs.h"
#include "tests/coordinator/simulation/network.h"

namespace tanren::coordinator::simulation {
namespace {

// A stream on which nothing was heard for so long is given up.
constexpr int64_t kStreamSilenceUs = 7 * kSecond;

bool Saves(StopReason reason) {
  return reason != CANCELLED_BY_USER && reason != FENCED && reason != NODE_LOST &&
         reason != HEAD_ENDED && reason != PART_FAILED && reason != HANG;
}

}  // namespace

Machine::Machine(World& world, int node)
    : world_(world),
      node_(node),
      dice_(world.seed, Purpose::kMachine, static_cast<uint32_t>(node + 1)),
      clock_(dice_.Between(1'000, 100'000'000), dice_.Between(-200, 200)),
      incarnation_(fmt::format("{}-0", World::NodeName(node))) {}

// ---------------------------------------------------------------------------- the launcher

void Machine::Launch(const PartSpec& spec) {
  const TokenKey key = KeyOf(spec.token());
  const auto [it, added] = parts_.try_emplace(key);
  if (!added) return;
  Part& part = it->second;
  part.spec = spec;
  part.is_head = spec.placements(0).node() == World::NodeName(node_);
  world_.trace.Add(world_.now_us(), "launch", node_, spec.token().job(), spec.token().attempt());
  Changed();
  if (!world_.calm && dice_.Chance(0.004)) return;  // its start hangs until it is stopped
  const int64_t fork_us =
      dice_.Chance(0.02) ? dice_.Between(0, 3 * kSecond) : dice_.Between(2, 120) * kMillisecond;
  world_.queue.After(fork_us, [this, key, boot = boots_, folder = folders_] {
    if (boot == boots_ && folder == folders_) Execute(key);
  });
}

void Machine::Execute(const TokenKey& key) {
  const auto it = parts_.find(key);
  if (it == parts_.end() || it->second.state != PART_STARTING) return;
  Part& part = it->second;
  if (SteadyMs() >= page_ms_) {
    EndPart(part, AttemptEnd::NEVER_STARTED, "the lease had passed");
    return;
  }
  part.lives = true;
  world_.evidence->Began(node_, part.spec);
  if (!part.is_head) part.state = PART_RUNNING;
  WatchDeadline();
  Changed();
  world_.gangs->PartUp(node_, part.spec);
}

void Machine::StopPart(const AgentStop& stop) {
  const TokenKey key = KeyOf(stop.token);
  const auto [it, added] = parts_.try_emplace(key);
  Part& part = it->second;
  world_.trace.Add(world_.now_us(), "stop", node_, stop.token.job(), stop.token.attempt(),
                   stop.reason);
  if (added) {
    *part.spec.mutable_token() = stop.token;
    EndPart(part, AttemptEnd::NEVER_STARTED, "stopped before it began");
    return;
  }
  if (part.state == PART_ENDED) return;
  if (!part.lives) {
    EndPart(part, AttemptEnd::NEVER_STARTED, "stopped before it began");
    return;
  }
  if (part.state != PART_STOPPING) Changed();
  part.state = PART_STOPPING;
  int64_t wait_ms = stop.grace_ms;
  if (!Saves(stop.reason)) {
    wait_ms = dice_.Between(0, std::min<int64_t>(stop.grace_ms, 5'000));
  } else if (part.is_head) {
    world_.gangs->Save(stop.token, stop.grace_ms);
  }
  const int64_t kill_at = world_.now_us() + wait_ms * kMillisecond + dice_.Between(500, 20'000);
  if (part.kill_at_us != 0 && part.kill_at_us <= kill_at) return;
  part.kill_at_us = kill_at;
  world_.queue.At(kill_at, [this, key] { ExitPart(key, AttemptEnd::STOPPED, "stopped"); });
}

void Machine::EndPart(Part& part, AttemptEnd::Kind kind, const char* message) {
  const bool lived = part.lives;
  part.end.set_kind(kind);
  part.end.set_node(World::NodeName(node_));
  part.end.set_rank(-1);
  part.end.set_message(message);
  if (lived && part.is_head) {
    PartReport last;
    *last.mutable_token() = part.spec.token();
    world_.gangs->Fill(part.spec.token(), last);
    part.has_checkpoint = last.has_checkpoint();
    part.checkpoint = last.checkpoint();
    part.progress = last.progress();
  }
  part.state = PART_ENDED;
  part.lives = false;
  Changed();
  if (!lived) return;
  world_.evidence->Ended(node_, part.spec);
  const PartSpec spec = part.spec;
  world_.gangs->PartDown(node_, spec);
}

void Machine::ExitPart(const TokenKey& key, AttemptEnd::Kind kind, const char* message) {
  const auto it = parts_.find(key);
  if (it != parts_.end() && it->second.lives) EndPart(it->second, kind, message);
}

bool Machine::PartLives(const TokenKey& key) const {
  const auto it = parts_.find(key);
  return it != parts_.end() && it->second.lives;
}

void Machine::KillAll(const char* message) {
  for (auto& [key, part] : parts_) {
    if (part.lives) EndPart(part, AttemptEnd::INFRASTRUCTURE, message);
  }
}

void Machine::WatchDeadline() {
  if (watches_deadline_) return;
  int64_t next = 0;
  for (const auto& [key, part] : parts_) {
    if (part.lives) next = page_ms_;
  }
  for (const Part& part : orphans_) {
    if (next == 0 || part.page_ms < next) next = part.page_ms;
  }
  if (next == 0) return;
  watches_deadline_ = true;
  // Its readers look now and then.
  const int64_t at = std::max(clock_.WhenUs(next), world_.now_us()) + dice_.Between(0, 200'000);
  world_.queue.At(at, [this, boot = boots_] {
    if (boot != boots_) return;
    watches_deadline_ = false;
    if (SteadyMs() >= page_ms_) KillAll("the lease has passed");
    std::erase_if(orphans_, [this](Part& part) {
      if (SteadyMs() < part.page_ms) return false;
      EndPart(part, AttemptEnd::INFRASTRUCTURE, "the lease has passed");
      return true;
    });
    WatchDeadline();
  });
}

std::vector<PartReport> Machine::Parts() const {
  std::vector<PartReport> reports;
  for (const auto& [key, part] : parts_) {
    PartReport& report = reports.emplace_back();
    *report.mutable_token() = part.spec.token();
    report.set_state(part.state);
    if (part.state == PART_ENDED) {
      *report.mutable_end() = part.end;
      if (part.has_checkpoint) *report.mutable_checkpoint() = part.checkpoint;
      *report.mutable_progress() = part.progress;
    } else if (part.lives && part.is_head) {
      world_.gangs->Fill(part.spec.token(), report);
    }
  }
  return reports;
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
  ++agent_runs_;
  world_.trace.Add(world_.now_us(), "agent starts", node_);
  core_ = std::make_unique<AgentCore>(world_.agent_options);
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
  if (core_ == nullptr) return;
  world_.trace.Add(world_.now_us(), "agent dies", node_);
  ++agent_runs_;
  core_.reset();
  paused_ = false;
  inbox_.clear();
  crash_at_action_us_ = -1;
  if (stream_ != 0) {
    world_.network->ToCoordinator(
        node_, [this, stream = stream_] { world_.coordinator->StreamEnded(stream, node_); });
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
  // What came meanwhile is read as if it had come now.
  std::vector<std::function<void()>> inbox = std::exchange(inbox_, {});
  for (const auto& arrive : inbox) arrive();
  PumpAt(world_.now_us());
}

void Machine::PowerOff(bool lose_disk) {
  if (!on_) return;
  world_.trace.Add(world_.now_us(), lose_disk ? "machine goes for ever" : "machine goes off",
                   node_);
  on_ = false;
  ++boots_;
  ++agent_runs_;
  core_.reset();
  paused_ = false;
  inbox_.clear();
  stream_ = 0;
  watches_deadline_ = false;
  for (Part& part : orphans_) EndPart(part, AttemptEnd::INFRASTRUCTURE, "power off");
  orphans_.clear();
  for (auto& [key, part] : parts_) {
    if (part.state != PART_ENDED) {
      EndPart(part, AttemptEnd::INFRASTRUCTURE, "the machine went off");
    }
  }
  if (!lose_disk) return;
  parts_.clear();
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
  CrashAgent();
  world_.trace.Add(world_.now_us(), "agent's folder goes", node_);
  for (auto& [key, part] : parts_) {
    if (part.lives) orphans_.emplace_back(part).page_ms = page_ms_;
  }
  parts_.clear();
  page_ms_ = 0;
  incarnation_ = fmt::format("{}-{}", World::NodeName(node_), ++folders_);
}

void Machine::BreakStream() {
  if (stream_ == 0 || core_ == nullptr) return;
  world_.network->ToCoordinator(
      node_, [this, stream = stream_] { world_.coordinator->StreamEnded(stream, node_); });
  StreamRefused(stream_);
}

void Machine::Connect() {
  stream_ = world_.next_stream++;
  heard_us_ = world_.now_us();
  world_.trace.Add(world_.now_us(), "agent connects", node_);
  core_->Connected();
  world_.network->ToCoordinator(node_, [this, stream = stream_, node = Description()] {
    world_.coordinator->Join(stream, node_, node);
  });
  WatchStream(stream_);
  PumpAt(world_.now_us());
}

void Machine::WatchStream(uint64_t stream) {
  world_.queue.After(kSecond, [this, stream] {
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
  PumpAt(world_.now_us());
  world_.queue.After(dice_.Between(100, 2'000) * kMillisecond, [this, run = agent_runs_] {
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

void Machine::Deliver(uint64_t stream, const Orders& orders) {
  if (core_ == nullptr || stream != stream_) return;
  if (paused_) {
    inbox_.push_back([this, stream, orders] { Deliver(stream, orders); });
    return;
  }
  heard_us_ = world_.now_us();
  core_->OnOrders(orders, SteadyMs());
  Pump();
}

void Machine::StreamRefused(uint64_t stream) {
  if (core_ == nullptr || stream != stream_) return;
  if (paused_) {
    inbox_.push_back([this, stream] { StreamRefused(stream); });
    return;
  }
  Disconnect();
}

void Machine::PumpAt(int64_t time_us) {
  if (core_ == nullptr) return;
  if (pump_at_us_ >= world_.now_us() && pump_at_us_ <= time_us) return;
  pump_at_us_ = time_us;
  world_.queue.At(time_us, [this, time_us, run = agent_runs_] {
    if (run == agent_runs_ && pump_at_us_ == time_us) Pump();
  });
}

void Machine::Pump() {
  pump_at_us_ = -1;
  if (core_ == nullptr || paused_) return;
  const int64_t now_ms = SteadyMs();
  if (parts_changed_ || core_->NextCall(now_ms) <= now_ms) {
    parts_changed_ = false;
    core_->OnParts(Parts(), now_ms);
  }
  Apply(core_->Act(now_ms));
  if (core_ == nullptr) return;
  const int64_t next = core_->NextCall(now_ms);
  if (next < std::numeric_limits<int64_t>::max()) {
    PumpAt(std::max(clock_.WhenUs(next), world_.now_us() + 500));
  }
}

void Machine::Apply(AgentActions actions) {
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
    world_.queue.After(away_us, [this] { StartAgent(); });
    return;
  }
  if (!actions.forget.empty()) parts_changed_ = true;
  if (!actions.report.has_value() || stream_ == 0) return;
  world_.network->ToCoordinator(node_, [this, stream = stream_, report = *actions.report] {
    world_.coordinator->Report(stream, node_, report);
  });
}

}  // namespace tanren::coordinator::simulation
