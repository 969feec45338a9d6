#include "coordinator/server/loop.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "coordinator/server/begin_epoch.h"
#include "coordinator/server/transition_log.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/base/fail_point.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

// Events kept in memory for those who watch.
constexpr size_t kRecentEvents = 8192;
// Readers' share of a round, so that changes don't wait for them.
constexpr int64_t kReadersMs = 5;
// Agents' messages still find room when the queue is full for others.
constexpr size_t kAgentsFactor = 4;
// Where scheduling passes take no longer than this, they share the commit of what asked for them.
constexpr int64_t kQuickTickMs = 2;
constexpr int64_t kShortestTickMs = 1;

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

Now SystemNow() { return {WallMs(), SteadyMs()}; }

Loop::Loop(LoopOptions options, OpenStore open, LoopListener listener)
    : options_(std::move(options)),
      open_(std::move(open)),
      listener_(std::move(listener)),
      started_ms_(SystemNow().wall_ms),
      recent_(kRecentEvents),
      old_events_(options_.keep_events_ms) {}

absl::StatusOr<std::unique_ptr<Loop>> Loop::Start(LoopOptions options, OpenStore open,
                                                  LoopListener listener) {
  std::unique_ptr<Loop> loop(new Loop(std::move(options), std::move(open), std::move(listener)));
  TANREN_RETURN_IF_ERROR(loop->Open());
  // On a full disk it shows what there is, says from the beginning that it takes nothing, and goes
  // on once there is room.
  if (const absl::Status writable = loop->ProbeWrite(); !writable.ok()) loop->Fail(writable);
  loop->thread_ = std::thread([loop = loop.get()] { loop->Run(); });
  return loop;
}

Loop::~Loop() { Stop(); }

absl::Status Loop::Open() {
  store_.reset();  // its lock, before another is opened
  TANREN_ASSIGN_OR_RETURN(store_, open_());
  TANREN_ASSIGN_OR_RETURN(std::vector<Record> records, store_->Records());
  TANREN_ASSIGN_OR_RETURN(Cluster cluster, Restore(records));
  const Now now = SystemNow();
  TANREN_RETURN_IF_ERROR(BeginEpochIfNeeded(*store_, cluster, now));
  if (listener_.opened) TANREN_RETURN_IF_ERROR(listener_.opened(*store_, records));
  core_ = std::make_unique<Core>(options_.core, std::move(cluster), now);
  recent_.Reset(store_->last_sequence());
  // A long history's records take as much memory as the cluster that was made of them.
  records.clear();
  records.shrink_to_fit();
  malloc_trim(0);
  return absl::OkStatus();
}

absl::Status Loop::Enqueue(Task task, size_t limit) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return absl::UnavailableError("the coordinator is going down");
    if (queue_.size() >= limit) {
      return absl::ResourceExhaustedError(
          fmt::format("{} requests wait already: try again later", queue_.size()));
    }
    queue_.push_back(std::move(task));
  }
  work_.notify_one();
  return absl::OkStatus();
}

absl::Status Loop::Post(Input input, Answered answered) {
  return Enqueue(Change{std::move(input), std::move(answered)}, options_.queue_limit);
}

absl::Status Loop::PostOfAgent(Input input, Answered answered) {
  return Enqueue(Change{std::move(input), std::move(answered)},
                 options_.queue_limit * kAgentsFactor);
}

absl::Status Loop::PostRecords(std::vector<Record> records, Answered answered) {
  return Enqueue(Change{std::move(records), std::move(answered)}, options_.queue_limit);
}

absl::Status Loop::ReadOfAgent(Reader read) {
  return Enqueue(std::move(read), options_.queue_limit * kAgentsFactor);
}

absl::Status Loop::Read(Reader read) { return Enqueue(std::move(read), options_.queue_limit); }

absl::Status Loop::accepting() const {
  const std::lock_guard lock(mutex_);
  return accepting_;
}

absl::Status Loop::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

size_t Loop::queued() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

void Loop::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  if (thread_.joinable()) thread_.join();
}

int64_t Loop::NextTick() const {
  // Passes over a large cluster leave the thread at least half of its time.
  return std::max(core_->NextTick(), last_tick_ + std::max(kShortestTickMs, tick_cost_ms_));
}

bool Loop::Take(std::vector<Task>& tasks, bool& tick) {
  std::unique_lock lock(mutex_);
  const bool works = accepting_.ok();
  const int64_t due = works ? NextTick() : next_reopen_;
  while (queue_.empty() && !stopping_) {
    const int64_t left = std::min<int64_t>(due - SteadyMs(), 1'000);
    if (left <= 0 && due <= SteadyMs()) break;
    work_.wait_for(lock, std::chrono::milliseconds(left));
  }
  tick = due <= SteadyMs();
  const size_t count = std::min(queue_.size(), options_.batch_limit);
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
  tasks.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
  queue_.erase(queue_.begin(), end);
  return !stopping_;
}

void Loop::Run() {
  std::vector<Task> tasks;
  bool tick = false;
  while (Take(tasks, tick)) {
    if (tick && !accepting().ok()) {
      Reopen();
      tick = false;
    }
    Process(std::move(tasks), tick);
    tasks.clear();
  }
  // What was not begun is refused; nobody waits for ever.
  {
    const std::lock_guard lock(mutex_);
    std::move(queue_.begin(), queue_.end(), std::back_inserter(tasks));
    queue_.clear();
  }
  const absl::Status down = absl::UnavailableError("the coordinator is going down");
  for (Task& task : tasks) {
    if (auto* change = std::get_if<Change>(&task)) {
      if (change->answered) change->answered({down, {}, nullptr});
    } else {
      std::get<Reader>(task)(down, nullptr);
    }
  }
}

void Loop::Process(std::vector<Task> tasks, bool tick) {
  Batch batch;
  const bool works = accepting().ok();
  for (Task& task : tasks) {
    if (auto* reader = std::get_if<Reader>(&task)) {
      batch.readers.push_back(std::move(*reader));
    } else if (works) {
      Change& change = std::get<Change>(task);
      if (const auto* input = std::get_if<Input>(&change.change)) {
        StepInto(*input, std::move(change.answered), batch);
        continue;
      }
      auto& records = std::get<std::vector<Record>>(change.change);
      std::move(records.begin(), records.end(), std::back_inserter(batch.commit.records));
      batch.done.push_back({std::move(change.answered), absl::OkStatus(), {}});
    } else {
      Refuse(std::move(std::get<Change>(task)));
    }
  }
  std::vector<Reader> readers = std::move(batch.readers);
  if (works) {
    const bool quick = tick_cost_ms_ <= kQuickTickMs;
    const bool now = tick || NextTick() <= SteadyMs();
    if (now && quick) Tick(batch);
    Finish(std::move(batch));
    if (now && !quick && accepting().ok()) {
      Batch pass;
      Tick(pass);
      Finish(std::move(pass));
    }
    if (accepting().ok()) {
      if (const absl::Status forgotten = old_events_.Look(*store_, SteadyMs()); !forgotten.ok()) {
        Fail(forgotten);
      }
    }
  }
  ServeReaders(std::move(readers));
}

void Loop::ServeReaders(std::vector<Reader> readers) {
  const int64_t until = SteadyMs() + kReadersMs;
  for (size_t i = 0; i < readers.size(); ++i) {
    if (i > 0 && SteadyMs() > until) {
      // The next round takes along what came meanwhile.
      const std::lock_guard lock(mutex_);
      const auto rest = readers.begin() + static_cast<std::ptrdiff_t>(i);
      queue_.insert(queue_.begin(), std::make_move_iterator(rest),
                    std::make_move_iterator(readers.end()));
      return;
    }
    const View view{*core_, store_.get()};
    readers[i](absl::OkStatus(), &view);
  }
}

void Loop::StepInto(const Input& input, Answered answered, Batch& batch) {
  // Orders from before a stream's beginning or end are not for the one that follows.
  if (const auto* join = std::get_if<JoinInput>(&input)) batch.orders.erase(join->node.name());
  if (const auto* leave = std::get_if<LeaveInput>(&input)) batch.orders.erase(leave->node);
  if (listener_.stepped) listener_.stepped(input);
  Outcome outcome = core_->Step(input, SystemNow());
  std::move(outcome.commit.events.begin(), outcome.commit.events.end(),
            std::back_inserter(batch.commit.events));
  std::move(outcome.commit.records.begin(), outcome.commit.records.end(),
            std::back_inserter(batch.commit.records));
  for (auto& [node, orders] : outcome.orders) batch.orders[node] = std::move(orders);
  if (answered) {
    batch.done.push_back({std::move(answered), std::move(outcome.status), std::move(outcome.jobs)});
  }
}

void Loop::Tick(Batch& batch) {
  const int64_t begin = SteadyMs();
  const auto measured = std::chrono::steady_clock::now();
  StepInto(TickInput{}, nullptr, batch);
  if (listener_.passed) listener_.passed(SecondsSince(measured));
  last_tick_ = SteadyMs();
  tick_cost_ms_ = last_tick_ - begin;
}

void Loop::Finish(Batch batch) {
  if (!batch.commit.empty()) {
    const auto begin = std::chrono::steady_clock::now();
    const absl::Status written = store_->Write(batch.commit);
    if (listener_.written) {
      listener_.written(SecondsSince(begin), batch.commit.events.size(), written.ok());
    }
    if (!written.ok()) {
      Fail(written);
      for (Done& done : batch.done) {
        done.answered({accepting(), {}, nullptr});
      }
      return;
    }
    (void)FailPoint("loop.durable");  // and nobody knows
    recent_.Append(batch.commit.events);
    for (const HistoryEvent& event : batch.commit.events) LogTransition(event);
  }
  for (Done& done : batch.done) {
    done.answered({std::move(done.status), std::move(done.jobs), core_.get()});
  }
  for (auto& [node, orders] : batch.orders) {
    listener_.orders(node, orders);
    last_orders_[node] = orders.sequence();
  }
}

}  // namespace tanren::coordinator
