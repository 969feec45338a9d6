// What a machine's launcher does: parts begin, are stopped and end, at the latest when their lease
// page says so.
#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "tests/coordinator/simulation/gangs.h"
#include "tests/coordinator/simulation/machine.h"

namespace tanren::coordinator::simulation {
namespace {

bool Saves(StopReason reason) {
  return reason != CANCELLED_BY_USER && reason != FENCED && reason != NODE_LOST &&
         reason != HEAD_ENDED && reason != PART_FAILED && reason != HANG;
}

}  // namespace

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
  After(fork_us, [this, key, folder = folders_] {
    if (folder == folders_) Execute(key);
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
  spools_.Open(part.spec.token(), dice_.Between(10, 400));
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
  // Some take long to go, in the midst of a read or a write that can't be interrupted. (Nothing
  // helps where that happens to one whose lease has passed, maybe in a suspension.)
  const bool lease_held = SteadyMs() < page_ms_ && world_.now_us() - went_on_us_ > kAwakeUs;
  if (!world_.calm && lease_held && dice_.Chance(0.03)) {
    wait_ms += dice_.Between(1'000, 15'000);
  }
  const int64_t kill_at = world_.now_us() + wait_ms * kMillisecond + dice_.Between(500, 20'000);
  if (part.kill_at_us != 0 && part.kill_at_us <= kill_at) return;
  part.kill_at_us = kill_at;
  At(kill_at, [this, key] { ExitPart(key, AttemptEnd::STOPPED, "stopped"); });
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
  spools_.Close(part.spec.token());
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
  At(at, [this] {
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

// What lived when the machine was suspended has had the time to look at its lease.
void Machine::WakeParts() {
  for (auto& [key, part] : parts_) {
    if (part.lives) world_.evidence->Awake(node_, part.spec);
  }
  for (const Part& part : orphans_) world_.evidence->Awake(node_, part.spec);
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

}  // namespace tanren::coordinator::simulation
