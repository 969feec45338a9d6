#include "tests/coordinator/simulation/gangs.h"

#include <algorithm>

#include "fmt/format.h"
#include "tests/coordinator/simulation/coordinator.h"
#include "tests/coordinator/simulation/history_checker.h"
#include "tests/coordinator/simulation/machine.h"

namespace tanren::coordinator::simulation {
namespace {

// mpirun gives up when its daemons don't come.
constexpr int64_t kGangWaitsUs = 60 * kSecond;

}  // namespace

Gangs::Gang* Gangs::Find(const TokenKey& key) {
  const auto it = gangs_.find(key);
  return it == gangs_.end() ? nullptr : it->second.get();
}

Dice Gangs::DiceOf(const AttemptToken& token, uint32_t what) const {
  return {world_.seed ^ (token.job() << 20) ^ (uint64_t{token.attempt()} << 4) ^ token.epoch(),
          Purpose::kAttempt, what};
}

std::set<int> Gangs::NodesOf(const PartSpec& part) const {
  std::set<int> nodes;
  for (const Placement& placement : part.placements()) {
    nodes.insert(World::NodeIndex(placement.node()));
  }
  return nodes;
}

void Gangs::PartUp(int node, const PartSpec& part) {
  const TokenKey key = KeyOf(part.token());
  auto& slot = gangs_[key];
  if (slot == nullptr) {
    slot = std::make_unique<Gang>();
    slot->spec = part;
    const size_t index = std::stoul(part.spec().name().substr(5));
    slot->plan = world_.workload.jobs[index];
    slot->head = World::NodeIndex(part.placements(0).node());
    slot->checkpoint = part.resume();
    slot->first_step = part.resume().step();
  }
  slot->up.insert(node);
  if (node == slot->head) {
    slot->head_was_up = true;
    TryToTrain(key, world_.now_us() + kGangWaitsUs);
  }
}

void Gangs::TryToTrain(const TokenKey& key, int64_t until_us) {
  Gang* gang = Find(key);
  if (gang == nullptr || gang->over || gang->trains || !gang->up.contains(gang->head)) return;
  const std::set<int> wanted = NodesOf(gang->spec);
  bool ready = gang->up.size() == wanted.size();
  // The remote shell goes through the coordinator.
  if (ready && wanted.size() > 1) {
    for (const int node : wanted) {
      ready = ready && world_.coordinator->Forwards(gang->spec.token(), node);
    }
  }
  if (ready) {
    BeginTraining(*gang);
  } else if (world_.now_us() >= until_us) {
    gang->over = true;
    EndHead(key, AttemptEnd::INFRASTRUCTURE, "the gang's daemons didn't come");
  } else {
    world_.queue.After(300 * kMillisecond, [this, key, until_us] { TryToTrain(key, until_us); });
  }
}

void Gangs::BeginTraining(Gang& gang) {
  const AttemptToken& token = gang.spec.token();
  const TokenKey key = KeyOf(token);
  ++world_.figures.trainings;
  world_.trace.Add(world_.now_us(), "training begins", gang.head, token.job(), token.attempt(),
                   gang.first_step);
  world_.history->CheckResume(gang.spec);
  gang.trains = true;
  gang.trains_since_us = world_.now_us();
  world_.machines[static_cast<size_t>(gang.head)]->Changed();
  const JobPlan& plan = gang.plan;
  Dice dice = DiceOf(token, 1);
  const int64_t left = std::max<int64_t>(plan.steps - gang.first_step, 0);
  int64_t last = left;
  AttemptEnd::Kind kind = AttemptEnd::FINISHED;
  if (plan.wrong_at_step >= 0) {
    last = std::clamp<int64_t>(plan.wrong_at_step - gang.first_step, 0, left);
    kind = AttemptEnd::USER_ERROR;
  }
  const bool breaks = !world_.calm && dice.Chance(plan.breaks);
  const bool hangs = !world_.calm && dice.Chance(plan.hangs);
  if ((breaks || hangs) && last > 0) {
    last = dice.Between(0, last - 1);
    kind = breaks ? AttemptEnd::INFRASTRUCTURE : AttemptEnd::HUNG;
  }
  const int64_t end_us = world_.now_us() + (last * plan.step_ms + 20) * kMillisecond;
  for (int64_t step = gang.first_step + plan.checkpoint_every; step < gang.first_step + last;) {
    PublishLater(key, step);
    break;  // each one plans the next
  }
  world_.queue.At(end_us, [this, key, kind, step = gang.first_step + last] {
    Gang* now = Find(key);
    if (now == nullptr || now->over) return;
    if (kind == AttemptEnd::HUNG) {
      now->frozen_step = step;
      now->over = true;  // it stands still until it is ended
      world_.queue.After(now->plan.spec.restart().hang_after_ms() * kMillisecond, [this, key] {
        Gang* hung = Find(key);
        if (hung == nullptr || !hung->up.contains(hung->head)) return;
        hung->hung = true;
        world_.machines[static_cast<size_t>(hung->head)]->Changed();
      });
      return;
    }
    now->frozen_step = step;
    now->over = true;
    EndHead(key, kind, "of itself");
  });
}

int64_t Gangs::StepAt(const Gang& gang, int64_t time_us) const {
  if (!gang.trains) return gang.first_step;
  if (gang.over) return gang.frozen_step;
  return gang.first_step + (time_us - gang.trains_since_us) / (gang.plan.step_ms * kMillisecond);
}

void Gangs::PublishLater(const TokenKey& key, int64_t step) {
  const Gang* gang = Find(key);
  const int64_t at =
      gang->trains_since_us + (step - gang->first_step) * gang->plan.step_ms * kMillisecond;
  world_.queue.At(at + 10 * kMillisecond, [this, key, step] {
    Gang* now = Find(key);
    if (now == nullptr || now->over || step > now->plan.steps) return;
    Publish(*now, step);
    PublishLater(key, step + now->plan.checkpoint_every);
  });
}

void Gangs::Publish(Gang& gang, int64_t step) {
  const AttemptToken& token = gang.spec.token();
  gang.checkpoint.set_attempt(token.attempt());
  gang.checkpoint.set_step(step);
  gang.checkpoint.set_folder(fmt::format("/jobs/job-{}/attempt-{}/checkpoints/step-{}", token.job(),
                                         token.attempt(), step));
  world_.machines[static_cast<size_t>(gang.head)]->Changed();
}

void Gangs::EndHead(const TokenKey& key, AttemptEnd::Kind kind, const char* message) {
  Gang* gang = Find(key);
  if (gang != nullptr) {
    world_.machines[static_cast<size_t>(gang->head)]->ExitPart(key, kind, message);
  }
}

void Gangs::Save(const AttemptToken& token, int64_t grace_ms) {
  const TokenKey key = KeyOf(token);
  Gang* gang = Find(key);
  if (gang == nullptr || !gang->trains || gang->over) return;
  const int64_t step = StepAt(*gang, world_.now_us());
  if (gang->plan.save_ms >= grace_ms) return;  // it will be killed before
  gang->frozen_step = step;
  gang->over = true;
  world_.queue.After(gang->plan.save_ms * kMillisecond, [this, key, step] {
    Gang* now = Find(key);
    if (now == nullptr || !now->up.contains(now->head) ||
        now->up.size() < NodesOf(now->spec).size()) {
      return;  // a save takes all ranks
    }
    if (step > now->first_step) Publish(*now, step);
    world_.history->SavedBy(now->spec.token(), now->checkpoint.step());
    EndHead(key, AttemptEnd::SAVED, "saved");
  });
}

void Gangs::PartDown(int node, const PartSpec& part) {
  const TokenKey key = KeyOf(part.token());
  Gang* gang = Find(key);
  if (gang == nullptr) return;
  gang->up.erase(node);
  if (gang->up.empty()) {
    gangs_.erase(key);
    return;
  }
  Dice dice = DiceOf(part.token(), 2 + static_cast<uint32_t>(node));
  if (node == gang->head) {
    gang->over = true;
    // The daemons see that mpirun has gone; some supervisors stay until they are told.
    for (const int other : gang->up) {
      if (dice.Chance(0.5)) continue;
      world_.queue.After(dice.Between(1, 3'000) * kMillisecond, [this, key, other] {
        if (Find(key) != nullptr) {
          world_.machines[static_cast<size_t>(other)]->ExitPart(key, AttemptEnd::FINISHED,
                                                                "the head has gone");
        }
      });
    }
  } else if (gang->trains && gang->up.contains(gang->head)) {
    // Its ranks miss their peers after a while.
    gang->frozen_step = StepAt(*gang, world_.now_us());
    gang->over = true;
    world_.queue.After(dice.Between(50, 3'000) * kMillisecond, [this, key] {
      EndHead(key, AttemptEnd::INFRASTRUCTURE, "a peer has gone");
    });
  }
}

void Gangs::Fill(const AttemptToken& token, PartReport& report) const {
  const auto it = gangs_.find(KeyOf(token));
  if (it == gangs_.end()) return;
  const Gang& gang = *it->second;
  if (gang.trains && report.state() == PART_STARTING) report.set_state(PART_RUNNING);
  if (gang.trains) {
    report.mutable_progress()->set_step(StepAt(gang, world_.now_us()));
    report.mutable_progress()->set_total_steps(gang.plan.steps);
  }
  // Only what this attempt has written.
  if (gang.checkpoint.attempt() == token.attempt() && gang.checkpoint.step() > 0) {
    *report.mutable_checkpoint() = gang.checkpoint;
  }
  report.set_hung(gang.hung);
}

}  // namespace tanren::coordinator::simulation
