#include "tests/coordinator/simulation/coordinator.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "fmt/format.h"
#include "tests/coordinator/simulation/evidence.h"
#include "tests/coordinator/simulation/history_checker.h"
#include "tests/coordinator/simulation/machine.h"
#include "tests/coordinator/simulation/network.h"

namespace tanren::coordinator::simulation {
namespace {

constexpr size_t kBatchLimit = 512;
// Ids that a store which was lost may have given.
constexpr uint64_t kIdsLeftToThePast = 1'000'000;

}  // namespace

Coordinator::Coordinator(World& world, const Coordinator& other)
    : world_(world),
      dice_(world.seed, Purpose::kCoordinator, 1'000 + static_cast<uint32_t>(world.queue.ran())),
      clock_(other.clock_),
      wall_offset_ms_(other.wall_offset_ms_),
      disk_(other.disk_) {}

Coordinator::Coordinator(World& world, MemoryImage image)
    : world_(world),
      dice_(world.seed, Purpose::kCoordinator, static_cast<uint32_t>(image.last_sequence())),
      clock_(dice_.Between(1'000, 100'000'000), dice_.Between(-200, 200)),
      disk_(std::make_shared<Disk>()) {
  disk_->store.Restore(std::move(image));
  disk_->observed = disk_->store.last_sequence();
}

Now Coordinator::now() const {
  return {wall_offset_ms_ + world_.now_us() / 1000, clock_.Ms(world_.now_us())};
}

// ------------------------------------------------------------------------- life and death

void Coordinator::Start() {
  if (core_ != nullptr || disk_->is_locked) return;
  disk_->is_locked = true;
  ++run_;
  ++world_.figures.coordinator_starts;
  world_.trace.Add(world_.now_us(), "coordinator starts");
  disk_->store.Crash();
  Observe();  // a write without an answer may have landed
  const auto records = disk_->store.Records();
  auto cluster = Restore(*records);
  if (!cluster.ok()) {
    world_.Violate("a store can be restored", std::string(cluster.status().message()));
    return;
  }
  if (disk_->store.needs_new_epoch()) {
    const uint64_t epoch = world_.histories.highest_epoch + 1;
    const uint64_t highest = world_.histories.highest_job;
    const uint64_t next_job = highest == 0 ? 1 : highest + kIdsLeftToThePast;
    Commit commit;
    commit.events.push_back(EpochEvent(*cluster, epoch, next_job, now()));
    const absl::Status applied = Apply(commit.events[0], *cluster, &commit.records);
    if (!applied.ok()) world_.Violate("an epoch can begin", std::string(applied.message()));
    const absl::Status written = Write(commit);
    if (!written.ok()) world_.Violate("an epoch can begin", std::string(written.message()));
  }
  world_.histories.highest_epoch = std::max(world_.histories.highest_epoch, cluster->epoch);
  if (Counts()) world_.history->CheckAll(*cluster);
  core_ = std::make_unique<Core>(world_.core_options, *std::move(cluster), now());
  if (Counts()) world_.evidence->CoordinatorStarted();
  Wake(world_.now_us());
}

void Coordinator::Crash(bool write_lands, bool silently) {
  if (core_ == nullptr) return;
  world_.trace.Add(world_.now_us(), "coordinator dies", -1, 0, 0, write_lands ? 1 : 0);
  if (writing_.has_value() && write_lands) Write(writing_->commit).IgnoreError();
  ++run_;
  core_.reset();
  queue_.clear();
  writing_.reset();
  core_streams_.clear();
  wake_at_us_ = -1;
  disk_->is_locked = false;
  paused_until_us_ = 0;
  crash_at_.reset();
  if (Counts()) world_.evidence->CoordinatorDied();
  questions_.clear();
  for (const auto& log : std::exchange(logs_, {})) log->Break();
  for (const auto& [node, stream] : std::exchange(streams_, {})) {
    if (!silently) Refuse(stream, node);
  }
}

void Coordinator::CrashAtEvent(HistoryEvent::KindCase kind, CrashPoint point, int64_t away_us) {
  crash_at_ = kind;
  crash_point_ = point;
  crash_away_us_ = away_us;
}

void Coordinator::FailNextWrite(StoreFault fault, int64_t away_us) {
  disk_->store.InjectFault(fault);
  fail_away_us_ = away_us;
}

void Coordinator::Backup() {
  if (disk_->store.last_sequence() > 0 && !disk_->store.is_broken()) {
    world_.histories.backup = disk_->store.Image();
  }
}

void Coordinator::RestoreBackup() {
  const std::optional<MemoryImage>& backup = world_.histories.backup;
  if (!backup.has_value()) return;
  Crash(dice_.Chance(0.5), false);
  world_.trace.Add(world_.now_us(), "store restored", -1, 0, 0,
                   static_cast<int64_t>(backup->last_sequence()));
  disk_->store.Restore(*backup);
  disk_->observed = disk_->store.last_sequence();
  RollBack();
}

void Coordinator::RollBack() {
  ++world_.histories.restores;
  const auto cluster = Restore(*disk_->store.Records());
  if (cluster.ok()) world_.history->RolledBack(*cluster);
}

std::optional<MemoryImage> Coordinator::ImageToTakeOver(bool of_the_past) {
  // One that has not begun its own epoch yet would begin the later one.
  if (core_ == nullptr || disk_->store.last_sequence() == 0) return std::nullopt;
  return of_the_past ? world_.histories.backup : disk_->store.Image();
}

void Coordinator::Disarm() {
  crash_at_.reset();
  paused_until_us_ = 0;
  if (core_ == nullptr) return;
  disk_->store.Crash();  // forgets faults to come
  Observe();
}

// --------------------------------------------------------------------------------- inputs

void Coordinator::Refuse(uint64_t stream, int node) {
  world_.network->ToNode(node, [this, stream, node] {
    world_.machines[static_cast<size_t>(node)]->StreamRefused(stream);
  });
}

void Coordinator::Join(uint64_t stream, int node, const Node& description) {
  if (core_ == nullptr) return Refuse(stream, node);
  uint64_t& current = streams_[node];
  if (stream <= current) return;  // of the past, or come twice
  FailQuestions(std::exchange(current, stream));
  JoinInput join;
  join.node = description;
  join.stream = stream;
  Enqueue(join, [this, stream, node](const absl::Status& status, const auto&) {
    if (!status.ok()) Refuse(stream, node);
  });
}

void Coordinator::Report(uint64_t stream, int node, const NodeReport& report) {
  ++world_.figures.reports;
  const auto current = streams_.find(node);
  if (core_ == nullptr || current == streams_.end() || current->second != stream) {
    return Refuse(stream, node);
  }
  ReportInput input;
  input.node = World::NodeName(node);
  input.report = report;
  input.stream = stream;
  Enqueue(std::move(input), [this, stream, node](const absl::Status& status, const auto&) {
    // Not of a node that has joined: its agent is to join anew.
    if (!status.ok()) Refuse(stream, node);
  });
}

void Coordinator::StreamEnded(uint64_t stream, int node) {
  const auto current = streams_.find(node);
  if (core_ == nullptr || current == streams_.end() || current->second != stream) return;
  streams_.erase(current);
  FailQuestions(stream);
  Enqueue(LeaveInput{World::NodeName(node), stream}, nullptr);
}

void Coordinator::Call(Input input, Answered answered) {
  if (core_ == nullptr) return;
  Enqueue(std::move(input), std::move(answered));
}

bool Coordinator::Forwards(const AttemptToken& token, int node) const {
  return core_ != nullptr && streams_.contains(node) && core_->MayAct(token, World::NodeName(node));
}

void Coordinator::Enqueue(Input input, Answered answered) {
  queue_.push_back({std::move(input), std::move(answered)});
  Wake(world_.now_us() + 50);
}

// --------------------------------------------------------------------------------- the loop

void Coordinator::Wake(int64_t at_us) {
  if (core_ == nullptr || writing_.has_value()) return;
  if (wake_at_us_ >= world_.now_us() && wake_at_us_ <= at_us) return;
  wake_at_us_ = at_us;
  world_.queue.At(at_us, [this, at_us, run = run_] {
    if (run == run_ && wake_at_us_ == at_us && !writing_.has_value()) Work();
  });
}

void Coordinator::Work() {
  wake_at_us_ = -1;
  if (world_.now_us() < paused_until_us_) return Wake(paused_until_us_);
  Batch batch;
  for (size_t i = 0; i < kBatchLimit && !queue_.empty(); ++i) {
    StepInto(queue_.front(), batch);
    queue_.pop_front();
  }
  if (core_->NextTick() <= now().steady_ms) StepInto({TickInput{}, nullptr}, batch);
  writing_ = std::move(batch);
  if (writing_->commit.empty()) return Finish();
  int64_t disk_us = 300 + dice_.Exponential(1'500);
  if (slow_disk_) disk_us += dice_.Between(0, 2 * kSecond);
  world_.queue.After(disk_us, [this, run = run_] {
    if (run == run_) Finish();
  });
}

void Coordinator::StepInto(const Waiting& waiting, Batch& batch) {
  if (const auto* join = std::get_if<JoinInput>(&waiting.input)) {
    core_streams_[World::NodeIndex(join->node.name())] = join->stream;
  }
  Outcome outcome = core_->Step(waiting.input, now());
  if (absl::IsInternal(outcome.status)) {
    world_.Violate("the core makes no event that isn't legal",
                   std::string(outcome.status.message()));
  }
  for (HistoryEvent& event : outcome.commit.events) batch.commit.events.push_back(std::move(event));
  for (Record& record : outcome.commit.records) batch.commit.records.push_back(std::move(record));
  for (auto& [name, orders] : outcome.orders) {
    const int node = World::NodeIndex(name);
    batch.orders.push_back({node, core_streams_[node], std::move(orders)});
  }
  if (waiting.answered != nullptr) {
    batch.answers.push_back([answered = waiting.answered, status = outcome.status,
                             jobs = std::move(outcome.jobs)] { answered(status, jobs); });
  }
}

absl::Status Coordinator::Write(const Commit& commit) {
  const absl::Status status = disk_->store.Write(commit);
  Observe();
  return status;
}

void Coordinator::Observe() {
  MemoryStore& store = disk_->store;
  if (store.last_sequence() == disk_->observed || !Counts()) return;
  ++world_.figures.commits;
  const int count = static_cast<int>(store.last_sequence() - disk_->observed);
  const auto events = store.Events(disk_->observed + 1, count);
  disk_->observed = store.last_sequence();
  for (const HistoryEvent& event : *events) {
    world_.history->Durable(event);
    if (event.has_job_submitted()) {
      world_.histories.highest_job =
          std::max(world_.histories.highest_job, event.job_submitted().job().id());
    }
  }
}

void Coordinator::Finish() {
  if (world_.now_us() < paused_until_us_) {
    return world_.queue.At(paused_until_us_, [this, run = run_] {
      if (run == run_) Finish();
    });
  }
  Batch batch = *std::exchange(writing_, std::nullopt);
  bool dies = false;
  if (crash_at_.has_value()) {
    for (const HistoryEvent& event : batch.commit.events) dies |= event.kind_case() == *crash_at_;
  }
  const CrashPoint point = crash_point_;
  const int64_t away_us = crash_away_us_;
  const auto die = [this](int64_t away) {
    Crash(false, dice_.Chance(0.3));
    world_.queue.After(away, [this] { Start(); });
  };
  if (dies && point == CrashPoint::kBeforeWrite) return die(away_us);
  if (!batch.commit.empty()) {
    const absl::Status written = Write(batch.commit);
    if (!written.ok()) {
      world_.trace.Add(world_.now_us(), "write fails");
      if (absl::IsInvalidArgument(written) || absl::IsFailedPrecondition(written)) {
        world_.Violate("a commit follows the store", std::string(written.message()));
      }
      return die(fail_away_us_);
    }
    CompareWithStore();
  }
  if (dies && point == CrashPoint::kAfterWrite) return die(away_us);
  const size_t all = batch.answers.size() + batch.orders.size();
  if (dies) {
    Send(batch, static_cast<size_t>(dice_.Between(0, static_cast<int64_t>(all))));
    return die(away_us);
  }
  Send(batch, all);
  if (core_ == nullptr) return;
  if (!queue_.empty()) {
    Wake(world_.now_us() + 20);
  } else if (const int64_t tick = core_->NextTick(); tick < std::numeric_limits<int64_t>::max()) {
    Wake(std::max(clock_.WhenUs(tick), world_.now_us() + 100));
  }
}

void Coordinator::Send(Batch& batch, size_t parts) {
  for (const auto& answer : batch.answers) {
    if (parts > 0) --parts, answer();
  }
  for (const Sending& sending : batch.orders) {
    if (parts == 0) return;
    --parts;
    const auto current = streams_.find(sending.node);
    if (current == streams_.end() || current->second != sending.stream) continue;
    world_.network->ToNode(sending.node, [this, node = sending.node, stream = sending.stream,
                                          orders = sending.orders] {
      world_.machines[static_cast<size_t>(node)]->Deliver(stream, orders);
    });
  }
}

// ---------------------------------------------------------------------------------- checks

void Coordinator::CompareWithStore() {
  const Cluster& live = core_->cluster();
  // The larger it is, the more seldom: it takes as long as everything in it.
  if (++since_compared_ < 1 + (live.jobs.size() + live.nodes.size()) / 4) return;
  since_compared_ = 0;
  ++world_.figures.restores_compared;
  const auto restored = Restore(*disk_->store.Records());
  if (!restored.ok()) {
    world_.Violate("a store can be restored", std::string(restored.status().message()));
    return;
  }
  const std::vector<Record> a = Records(live);
  const std::vector<Record> b = Records(*restored);
  std::string differs;
  if (a.size() != b.size()) differs = "the number of records";
  for (size_t i = 0; i < a.size() && differs.empty(); ++i) {
    if (a[i].key != b[i].key || a[i].value != b[i].value) differs = "record " + a[i].key;
  }
  if (live.pending != restored->pending) differs = "pending";
  if (live.holding != restored->holding) differs = "holding";
  if (live.dependants != restored->dependants) differs = "dependants";
  if (live.pending_of != restored->pending_of) differs = "pending_of";
  if (live.ended != restored->ended) differs = "ended";
  for (const auto& [name, load] : live.loads) {
    const auto other = restored->loads.find(name);
    if (other == restored->loads.end() || load.gpu_taken != other->second.gpu_taken ||
        load.gpus_free != other->second.gpus_free ||
        load.cpu_millis_free != other->second.cpu_millis_free ||
        load.memory_free != other->second.memory_free || load.jobs != other->second.jobs ||
        load.named != other->second.named) {
      differs = "the load of " + name;
    }
  }
  if (!differs.empty()) {
    world_.Violate("a restored store is the live cluster", differs + " differs");
  }
}

void Coordinator::CheckEverything() {
  if (core_ == nullptr || writing_.has_value()) return;
  world_.history->CheckAll(core_->cluster());
}

}  // namespace tanren::coordinator::simulation
