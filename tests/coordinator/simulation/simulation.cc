#include "tests/coordinator/simulation/simulation.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "fmt/format.h"
#include "tests/coordinator/simulation/coordinator.h"
#include "tests/coordinator/simulation/evidence.h"
#include "tests/coordinator/simulation/followers.h"
#include "tests/coordinator/simulation/gangs.h"
#include "tests/coordinator/simulation/history_checker.h"
#include "tests/coordinator/simulation/machine.h"
#include "tests/coordinator/simulation/network.h"
#include "tests/coordinator/simulation/users.h"

namespace tanren::coordinator::simulation {

World::World() = default;
World::~World() = default;

Coordinator& World::CoordinatorFor(uint64_t epoch, Dice& dice) {
  if (former.empty() || epoch < histories.highest_epoch || !dice.Chance(0.2)) return *coordinator;
  return *former[static_cast<size_t>(dice.Between(0, static_cast<int64_t>(former.size()) - 1))];
}

void World::Violate(std::string invariant, std::string what, uint64_t job) {
  if (violation.has_value()) return;
  trace.Add(now_us(), "VIOLATION", -1, job);
  violation = Violation{std::move(invariant), std::move(what), now_us(), job};
}

namespace {

class Runner {
 public:
  explicit Runner(const SimulationOptions& options);
  SimulationResult Run(const std::function<void(const SimulationProgress&)>& tell);

 private:
  void Inject(const Fault& fault);
  void Partition(const Fault& fault, bool up, bool down);
  void StartSecond();
  void TakeOver(int64_t for_us, bool of_the_past);
  void Flap(const std::vector<int>& nodes, int64_t until_us);
  std::vector<int> NodesOf(const Fault& fault) const;
  void Calm();
  void Watch();
  void CheckTheEnd();
  void TellEachSecond(const std::function<void(const SimulationProgress&)>& tell);

  const SimulationOptions options_;
  World world_;
  std::unique_ptr<Users> users_;
  std::vector<Fault> faults_;
  int64_t bound_us_ = 0;
};

Runner::Runner(const SimulationOptions& options) : options_(options) {
  world_.seed = options.seed;
  Dice dice(options.seed, Purpose::kCoordinator, 1);
  world_.core_options.stop_grace_ms = 5'000;
  world_.core_options.start_limit_ms = 60'000;
  // Where a pass takes long, they come less often: it is the larger part of what this takes.
  if (options.jobs > 1'000) world_.core_options.schedule_every_ms = 200;
  if (dice.Chance(0.3)) world_.core_options.keep_ended_jobs = dice.Between(0, 20);
  world_.core_options.default_restart.set_retries(3);
  world_.core_options.default_restart.set_first_delay_ms(1'000);
  world_.core_options.default_restart.set_longest_delay_ms(8'000);
  world_.workload = MakeWorkload(options.seed, options.jobs, options.nodes, options.span_ms);
  world_.network = std::make_unique<Network>(world_.queue, options.seed, options.nodes);
  world_.evidence = std::make_unique<Evidence>(world_, options.nodes);
  world_.history = std::make_unique<HistoryChecker>(world_);
  world_.gangs = std::make_unique<Gangs>(world_);
  world_.followers = std::make_unique<Followers>(world_);
  world_.coordinator = std::make_unique<Coordinator>(world_, MemoryImage());
  for (int i = 0; i < options.nodes; ++i) {
    world_.machines.push_back(std::make_unique<Machine>(world_, i));
  }
  users_ = std::make_unique<Users>(world_);
  const std::vector<Fault> all =
      MakeFaults(options.seed, options.faults, options.span_ms, std::max(options.nodes, 1));
  if (options.only_faults.has_value()) {
    for (const int number : *options.only_faults) {
      faults_.push_back(all[static_cast<size_t>(number)]);
    }
  } else {
    faults_ = all;
  }
}

std::vector<int> Runner::NodesOf(const Fault& fault) const {
  std::vector<int> nodes;
  for (int i = 0; i < std::min(fault.nodes, options_.nodes); ++i) {
    nodes.push_back((fault.node + i) % options_.nodes);
  }
  return nodes;
}

void Runner::Partition(const Fault& fault, bool up, bool down) {
  for (const int node : NodesOf(fault)) {
    world_.network->Cut(node, up, down);
    world_.queue.After(fault.for_ms * kMillisecond, [this, node, up, down] {
      if (!world_.calm) world_.network->Mend(node, up, down);
    });
  }
}

void Runner::Flap(const std::vector<int>& nodes, int64_t until_us) {
  if (world_.calm || world_.now_us() >= until_us) return;
  Dice dice(world_.seed, Purpose::kFaults, static_cast<uint32_t>(world_.now_us() / 1000));
  const bool up = dice.Chance(0.7);
  const bool down = dice.Chance(0.7);
  for (const int node : nodes) world_.network->Cut(node, up, down);
  world_.queue.After(dice.Between(100, 6'000) * kMillisecond, [this, nodes, up, down] {
    if (world_.calm) return;
    for (const int node : nodes) world_.network->Mend(node, up, down);
  });
  world_.queue.After(dice.Between(500, 9'000) * kMillisecond,
                     [this, nodes, until_us] { Flap(nodes, until_us); });
}

void Runner::Inject(const Fault& fault) {
  ++world_.figures.faults;
  world_.trace.Add(world_.now_us(), "fault", fault.node, 0, 0, static_cast<int64_t>(fault.kind));
  Coordinator& coordinator = *world_.coordinator;
  const int64_t for_us = fault.for_ms * kMillisecond;
  const int64_t detail = fault.detail;
  const auto each = [&](auto&& what) {
    for (const int node : NodesOf(fault)) what(*world_.machines[static_cast<size_t>(node)]);
  };
  const auto later = [&](auto what) { world_.queue.After(for_us, std::move(what)); };
  switch (fault.kind) {
    case FaultKind::kCoordinatorCrash:
      coordinator.Crash(detail % 2 == 0, detail % 3 == 0);
      later([&coordinator] { coordinator.Start(); });
      break;
    case FaultKind::kCoordinatorCrashAtEvent: {
      constexpr std::array kKinds = {
          HistoryEvent::kJobSubmitted,        HistoryEvent::kAttemptPlaced,
          HistoryEvent::kAttemptStarting,     HistoryEvent::kAttemptRunning,
          HistoryEvent::kAttemptStopping,     HistoryEvent::kAttemptUnknown,
          HistoryEvent::kAttemptFoundAgain,   HistoryEvent::kPartEnded,
          HistoryEvent::kAttemptEnded,        HistoryEvent::kJobEnded,
          HistoryEvent::kCheckpointPublished, HistoryEvent::kNodeJoined,
          HistoryEvent::kNodeStateChanged,    HistoryEvent::kCancelRequested,
      };
      coordinator.CrashAtEvent(kKinds[static_cast<size_t>(detail) % kKinds.size()],
                               static_cast<Coordinator::CrashPoint>(detail / 100 % 3), for_us);
      break;
    }
    case FaultKind::kWriteFails: {
      constexpr std::array kFaults = {StoreFault::kNothingWritten, StoreFault::kAnswerLost,
                                      StoreFault::kDiskFull};
      coordinator.FailNextWrite(kFaults[static_cast<size_t>(detail) % kFaults.size()], for_us);
      break;
    }
    case FaultKind::kSlowDisk:
      coordinator.SlowDisk(true);
      later([&coordinator] { coordinator.SlowDisk(false); });
      break;
    case FaultKind::kWallJump:
      coordinator.JumpWall((detail - 500'000) * 20);
      break;
    case FaultKind::kRestoreBackup:
      coordinator.RestoreBackup();
      later([&coordinator] { coordinator.Start(); });
      break;
    case FaultKind::kCoordinatorPause:
      coordinator.Pause(for_us);
      break;
    case FaultKind::kAgentCrash:
      each([](Machine& machine) { machine.CrashAgent(); });
      each([&](Machine& machine) { later([&machine] { machine.StartAgent(); }); });
      break;
    case FaultKind::kAgentCrashAtAction:
      each([&](Machine& machine) { machine.CrashAgentAtAction(for_us); });
      break;
    case FaultKind::kAgentPause:
      each([&](Machine& machine) {
        machine.PauseAgent();
        later([&machine] { machine.ResumeAgent(); });
      });
      break;
    case FaultKind::kMachineCrash:
    case FaultKind::kMachineReplaced:
      each([&](Machine& machine) {
        machine.PowerOff(fault.kind == FaultKind::kMachineReplaced);
        later([&machine] { machine.PowerOn(); });
      });
      break;
    case FaultKind::kFolderLost:
      each([&](Machine& machine) {
        machine.LoseFolder();
        later([&machine] { machine.StartAgent(); });
      });
      break;
    case FaultKind::kStreamBreak:
      each([](Machine& machine) { machine.BreakStream(); });
      break;
    case FaultKind::kPartition:
      Partition(fault, true, true);
      break;
    case FaultKind::kPartitionUp:
      Partition(fault, true, false);
      break;
    case FaultKind::kPartitionDown:
      Partition(fault, false, true);
      break;
    case FaultKind::kFlapping:
      Flap(NodesOf(fault), world_.now_us() + for_us);
      break;
    case FaultKind::kBadNetwork: {
      NetworkConditions& now = world_.network->conditions;
      now.loss = detail % 2 == 0 ? 0.01 * static_cast<double>(detail / 10 % 30) : 0;
      now.duplication = 0.01 * static_cast<double>(detail / 300 % 20);
      now.reordering = 0.01 * static_cast<double>(detail / 6'000 % 30);
      now.jitter_us = 500 * (1 + detail % 200);
      later([this] { world_.network->conditions = {}; });
      break;
    }
    case FaultKind::kRemoveNode:
      for (const int node : NodesOf(fault)) users_->RemoveNode(node);
      break;
    case FaultKind::kDrain:
      for (const int node : NodesOf(fault)) {
        users_->Drain(node, detail % 2 == 1);
        later([this, node] { users_->ResumeNode(node); });
      }
      break;
    case FaultKind::kMachineSuspended:
      each([&](Machine& machine) {
        machine.Suspend();
        later([&machine] { machine.GoOn(); });
      });
      break;
    case FaultKind::kSecondCoordinator:
      StartSecond();
      break;
    case FaultKind::kCoordinatorTakenOver:
      TakeOver(for_us, detail % 2 == 1);
      break;
    case FaultKind::kCount:
      break;
  }
}

// Another process on the same disk, which must find it locked.
void Runner::StartSecond() {
  if (!world_.coordinator->runs()) return;
  auto& second =
      world_.former.emplace_back(std::make_unique<Coordinator>(world_, *world_.coordinator));
  second->Start();
}

void Runner::TakeOver(int64_t for_us, bool of_the_past) {
  Coordinator& first = *world_.coordinator;
  std::optional<MemoryImage> image = first.ImageToTakeOver(of_the_past);
  if (!image.has_value()) return;
  world_.trace.Add(world_.now_us(), "coordinator is taken over from", -1, 0, 0,
                   static_cast<int64_t>(image->last_sequence()));
  first.Pause(for_us);
  world_.former.push_back(std::move(world_.coordinator));
  world_.evidence->CoordinatorDied();
  world_.coordinator = std::make_unique<Coordinator>(world_, *std::move(image));
  world_.coordinator->RollBack();
  world_.coordinator->Start();
}

void Runner::Calm() {
  world_.calm = true;
  world_.trace.Add(world_.now_us(), "faults are over");
  world_.network->MendAll();
  world_.coordinator->SlowDisk(false);
  world_.coordinator->Disarm();
  world_.coordinator->Start();
  for (const auto& machine : world_.machines) {
    machine->CrashAgentAtAction(-1);
    machine->PowerOn();
    machine->GoOn();
    machine->ResumeAgent();
    machine->StartAgent();
  }
}

void Runner::Watch() {
  world_.queue.After(5 * kSecond, [this] {
    // A part that hangs on until it is lost, and the gang's other parts until they are stopped.
    const CoreOptions& core = world_.core_options;
    world_.evidence->CheckWhole((core.lease_ms + core.grace_ms + core.stop_grace_ms + 75'000) *
                                kMillisecond);
    if (options_.jobs <= 1000 || world_.now_us() / kSecond % 60 < 5) {
      world_.coordinator->CheckEverything();
    }
    Dice dice(world_.seed, Purpose::kFaults, static_cast<uint32_t>(world_.now_us() / 1000));
    if (dice.Chance(0.1)) world_.coordinator->Backup();
    Watch();
  });
}

void Runner::TellEachSecond(const std::function<void(const SimulationProgress&)>& tell) {
  SimulationProgress progress;
  progress.simulated_s = static_cast<double>(world_.now_us()) / 1e6;
  progress.of_s = static_cast<double>(options_.span_ms) / 1e3 + 5;
  progress.events = world_.queue.ran();
  progress.unfinished = users_->CountUnfinished();
  tell(progress);
  world_.queue.After(kSecond, [this, &tell] { TellEachSecond(tell); });
}

// Faults are over, and so is all work.
void Runner::CheckTheEnd() {
  if (world_.evidence->living() > 0) {
    world_.Violate("nothing outlives its job",
                   fmt::format("{} parts live", world_.evidence->living()));
  }
  const std::string follows = world_.followers->Unfinished();
  if (!follows.empty()) world_.Violate("who follows a log comes to its end", follows);
  for (int i = 0; i < options_.nodes; ++i) {
    const Core* core = world_.coordinator->core();
    const Node* node = core == nullptr ? nullptr : core->cluster().FindNode(World::NodeName(i));
    if (node != nullptr && node->state() == Node::UP) continue;
    world_.Violate("once faults stop, every node is there",
                   fmt::format("n{} is {}", i, node == nullptr ? "unknown" : "not heard of"));
  }
}

SimulationResult Runner::Run(const std::function<void(const SimulationProgress&)>& tell) {
  if (tell != nullptr) TellEachSecond(tell);
  world_.coordinator->Start();
  Dice dice(world_.seed, Purpose::kMachine, 0);
  for (const auto& machine : world_.machines) {
    world_.queue.At(dice.Between(0, 3'000) * kMillisecond,
                    [machine = machine.get()] { machine->StartAgent(); });
  }
  users_->Begin();
  for (const Fault& fault : faults_) {
    world_.queue.At(fault.at_ms * kMillisecond, [this, fault] { Inject(fault); });
  }
  const int64_t calm_us = (options_.span_ms + 5'000) * kMillisecond;
  world_.queue.At(calm_us, [this] { Calm(); });
  Watch();
  // All the work one after another on an eighth of the cluster, and time for what is stuck.
  double gpu_ms = 0;
  double gpus = 0;
  for (const JobPlan& job : world_.workload.jobs) {
    double ranks = 0;
    for (const Role& role : job.spec.roles()) ranks += role.ranks();
    gpu_ms += ranks * static_cast<double>(job.steps * job.step_ms + 3'000);
  }
  for (const NodePlan& node : world_.workload.nodes) gpus += std::max(node.gpus, 1);
  bound_us_ = calm_us + 1'800 * kSecond + static_cast<int64_t>(8 * gpu_ms / gpus) * kMillisecond;
  int64_t ended_us = 0;
  while (!world_.violation.has_value() && world_.queue.RunNext()) {
    if (world_.queue.ran() % 256 != 0 || !world_.calm) continue;
    if (world_.now_us() > bound_us_) {
      world_.Violate("once faults stop, every feasible job ends", users_->Unfinished(),
                     users_->FirstUnfinished());
    } else if (ended_us == 0 && users_->AllEnded()) {
      ended_us = world_.now_us();
    } else if (ended_us != 0 && world_.now_us() > ended_us + 40 * kSecond) {
      CheckTheEnd();
      break;
    }
  }
  SimulationResult result;
  result.violation = world_.violation;
  result.trace_hash = world_.trace.hash();
  result.simulated_seconds = static_cast<double>(world_.now_us()) / 1e6;
  result.events = world_.queue.ran();
  result.figures = world_.figures;
  for (size_t i = 0; i < faults_.size(); ++i) {
    const int number =
        options_.only_faults.has_value() ? (*options_.only_faults)[i] : static_cast<int>(i);
    result.faults.push_back(fmt::format("{:4}: {}", number, FaultText(faults_[i])));
  }
  if (world_.violation.has_value()) result.tail = world_.trace.Tail(80, world_.violation->job);
  return result;
}

}  // namespace

SimulationResult Simulate(const SimulationOptions& options,
                          const std::function<void(const SimulationProgress&)>& tell) {
  return std::make_unique<Runner>(options)->Run(tell);
}

}  // namespace tanren::coordinator::simulation
