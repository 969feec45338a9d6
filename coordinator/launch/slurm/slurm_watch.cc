#include "coordinator/launch/slurm/slurm_watch.h"

#include <algorithm>
#include <chrono>

#include "coordinator/launch/part_folder.h"
#include "coordinator/launch/slurm/slurm_request.h"
#include "coordinator/state/cluster.h"
#include "runtime/base/clock.h"

namespace tanren::coordinator {
namespace {

// Between the supervisor's end of its lease and the last of its ranks: what killing takes.
constexpr int64_t kKillingMs = 15'000;
// Until the ranks were seen, so that the job soon shows as running.
constexpr int64_t kFirstBeatsMs = 250;

}  // namespace

SlurmWatch::SlurmWatch(SlurmFolder folder, const SlurmTask& task)
    : folder_(std::move(folder)),
      token_(task.part().token()),
      lease_ms_(task.lease_ms()),
      heartbeat_ms_(task.heartbeat_ms()),
      ranks_(TotalRanks(task.part().spec())),
      last_beat_ms_(SteadyMs()) {
  thread_ = std::thread([this] { Run(); });
}

SlurmWatch::~SlurmWatch() {
  {
    std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_all();
  thread_.join();
}

SlurmOutlook SlurmWatch::Look() const {
  std::lock_guard lock(mutex_);
  SlurmOutlook outlook = outlook_;
  outlook.folder_lost = SteadyMs() - last_beat_ms_ > lease_ms_;
  return outlook;
}

void SlurmWatch::Run() {
  for (;;) {
    Beat();
    const int64_t pause = beat_.running() ? heartbeat_ms_ : std::min(kFirstBeatsMs, heartbeat_ms_);
    std::unique_lock lock(mutex_);
    if (ended_.wait_for(lock, std::chrono::milliseconds(pause), [this] { return end_; })) return;
  }
}

void SlurmWatch::Beat() {
  const int64_t begun_ms = SteadyMs();
  beat_.set_count(beat_.count() + 1);
  if (!beat_.running()) beat_.set_running(folder_.RanksStarted() >= ranks_);
  const bool written = folder_.WriteBeat(beat_).ok();
  const auto fence = folder_.RaiseFence(token_);
  const auto stop = folder_.ReadStop();
  std::lock_guard lock(mutex_);
  // As of before the write: a later attempt counts from when it saw the beat.
  if (written) last_beat_ms_ = begun_ms;
  if (fence.ok() && token_ < *fence) outlook_.superseded_by = TokenText(*fence);
  if (stop.ok() && stop->has_value()) outlook_.stop = **stop;
}

SlurmPulse::SlurmPulse(SlurmFolder folder, int64_t lease_ms)
    : folder_(std::move(folder)), lease_ms_(lease_ms) {}

bool SlurmPulse::IsDead(int64_t now_ms) {
  const auto beat = folder_.ReadBeat();
  if (!beat.ok()) {  // not to be seen: then nothing is known
    since_ms_ = 0;
    return false;
  }
  const int64_t count = beat->has_value() ? (*beat)->count() : 0;
  if (count != count_ || since_ms_ == 0) {
    count_ = count;
    since_ms_ = now_ms;
  }
  return now_ms - since_ms_ > lease_ms_ + kKillingMs;
}

}  // namespace tanren::coordinator
