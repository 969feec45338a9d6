#include "tests/coordinator/simulation/gangs.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
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

Machine& Gangs::HeadOf(const Gang& gang) {
  return *world_.machines[static_cast<size_t>(gang.head)];
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
  const bool is_head = node == World::NodeIndex(part.placements(0).node());
  // Its head begins a second time where another incarnation has the machine that never told of the
  // first: another run of the programs, which knows nothing of the one before.
  if (slot == nullptr || (is_head && slot->head_was_up)) {
    std::set<int> up;
    if (slot != nullptr) up = std::move(slot->up);
    slot = std::make_unique<Gang>();
    slot->up = std::move(up);
    slot->run = ++runs_;
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
      ready = ready && HeadOf(*gang).Forwards(gang->spec.token(), node);
    }
  }
  if (ready) {
    BeginTraining(*gang);
  } else if (world_.now_us() >= until_us) {
    gang->over = true;
    EndHead(key, AttemptEnd::INFRASTRUCTURE, "the gang's daemons didn't come");
  } else {
    HeadOf(*gang).After(300 * kMillisecond, [this, key, until_us] { TryToTrain(key, until_us); });
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
  HeadOf(gang).Changed();
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
  gang.needs_peers = !dice.Chance(0.3);
  for (int64_t step = gang.first_step + plan.checkpoint_every; step < gang.first_step + last;) {
    PublishLater(key, step);
    break;  // each one plans the next
  }
  const int64_t end = gang.first_step + last;
  WhenAtStep(key, end, 20 * kMillisecond, [this, key, kind, end](Gang& now) {
    now.frozen_step = end;
    now.over = true;
    if (kind != AttemptEnd::HUNG) return EndHead(key, kind, "of itself");
    // It stands still until it is ended.
    const int64_t after_us = now.plan.spec.restart().hang_after_ms() * kMillisecond;
    HeadOf(now).After(after_us, [this, key, run = now.run] {
      Gang* hung = Find(key);
      if (hung == nullptr || hung->run != run || !hung->up.contains(hung->head)) return;
      hung->hung = true;
      HeadOf(*hung).Changed();
    });
  });
}

void Gangs::NodeSuspended(int node) {
  for (auto& [key, gang] : gangs_) {
    if (!gang->up.contains(node)) continue;
    if (gang->suspended.empty()) gang->stalled_us = world_.now_us();
    gang->suspended.insert(node);
  }
}

void Gangs::NodeGoesOn(int node) {
  for (auto& [key, gang] : gangs_) {
    if (gang->suspended.erase(node) > 0) Restart(*gang);
  }
}

void Gangs::Restart(Gang& gang) const {
  if (gang.suspended.empty() && gang.trains) {
    gang.trains_since_us += world_.now_us() - std::max(gang.stalled_us, gang.trains_since_us);
  }
}

void Gangs::WhenAtStep(const TokenKey& key, int64_t step, int64_t more_us,
                       std::function<void(Gang&)> then) {
  Gang* gang = Find(key);
  const int64_t due = gang->trains_since_us +
                      (step - gang->first_step) * gang->plan.step_ms * kMillisecond + more_us;
  const int64_t look =
      gang->suspended.empty() ? due : std::max(due, world_.now_us() + 200 * kMillisecond);
  HeadOf(*gang).At(look, [this, key, step, more_us, look, run = gang->run, then = std::move(then)] {
    Gang* now = Find(key);
    if (now == nullptr || now->run != run || now->over) return;
    const bool early = StepAt(*now, look - more_us) < step;
    if (!now->suspended.empty() || early) return WhenAtStep(key, step, more_us, then);
    then(*now);
  });
}

int64_t Gangs::StepAt(const Gang& gang, int64_t time_us) const {
  if (!gang.trains) return gang.first_step;
  if (gang.over) return gang.frozen_step;
  if (!gang.suspended.empty()) time_us = std::max(gang.stalled_us, gang.trains_since_us);
  return gang.first_step + (time_us - gang.trains_since_us) / (gang.plan.step_ms * kMillisecond);
}

void Gangs::PublishLater(const TokenKey& key, int64_t step) {
  WhenAtStep(key, step, 10 * kMillisecond, [this, key, step](Gang& gang) {
    if (step > gang.plan.steps) return;
    Publish(gang, step);
    PublishLater(key, step + gang.plan.checkpoint_every);
  });
}

void Gangs::Publish(Gang& gang, int64_t step) {
  const AttemptToken& token = gang.spec.token();
  gang.checkpoint.set_attempt(token.attempt());
  gang.checkpoint.set_step(step);
  gang.checkpoint.set_folder(fmt::format("/jobs/job-{}/attempt-{}/checkpoints/step-{}", token.job(),
                                         token.attempt(), step));
  HeadOf(gang).Changed();
}

void Gangs::EndHead(const TokenKey& key, AttemptEnd::Kind kind, const char* message) {
  Gang* gang = Find(key);
  if (gang != nullptr) HeadOf(*gang).ExitPart(key, kind, message);
}

void Gangs::Save(const AttemptToken& token, int64_t grace_ms) {
  const TokenKey key = KeyOf(token);
  Gang* gang = Find(key);
  if (gang == nullptr || !gang->trains || gang->over) return;
  const int64_t step = StepAt(*gang, world_.now_us());
  if (gang->plan.save_ms >= grace_ms) return;  // it will be killed before
  gang->frozen_step = step;
  gang->over = true;
  HeadOf(*gang).After(gang->plan.save_ms * kMillisecond, [this, key, step, run = gang->run] {
    Gang* now = Find(key);
    if (now == nullptr || now->run != run || !now->up.contains(now->head) ||
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
  if (gang->suspended.erase(node) > 0) Restart(*gang);
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
      Machine& machine = *world_.machines[static_cast<size_t>(other)];
      machine.After(dice.Between(1, 3'000) * kMillisecond, [this, key, &machine] {
        if (Find(key) == nullptr) return;
        machine.ExitPart(key, AttemptEnd::FINISHED, "the head has gone");
      });
    }
  } else if (gang->trains && gang->needs_peers && gang->up.contains(gang->head)) {
    // Its ranks miss their peers after a while.
    gang->frozen_step = StepAt(*gang, world_.now_us());
    gang->over = true;
    HeadOf(*gang).After(dice.Between(50, 3'000) * kMillisecond, [this, key, run = gang->run] {
      const Gang* now = Find(key);
      if (now == nullptr || now->run != run) return;
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
