#include "runtime/comm/nccl_origin.h"

#include <algorithm>
#include <map>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/telemetry/signals.h"

namespace tanren::comm {
namespace {

using Clock = std::chrono::steady_clock;

// How often the watcher asks the device. Nobody waits for it but barriers and splits.
constexpr auto kLook = std::chrono::microseconds(500);
// A call in progress is mostly started within microseconds; a join takes seconds.
constexpr int kEagerLooks = 200;
constexpr auto kTimeToFinalize = std::chrono::seconds(10);

// kAborted is for what another rank's failure does to us: that one has the explanation.
absl::Status StatusOf(const NcclApi::Result& result, std::string_view description) {
  std::string message = fmt::format("{}: {}", description, result.message);
  if (result.code == NcclApi::Code::kPeerFailed) return absl::AbortedError(std::move(message));
  return absl::InternalError(std::move(message));
}

bool Failed(const NcclApi::Result& result) {
  return result.code == NcclApi::Code::kFailed || result.code == NcclApi::Code::kPeerFailed;
}

std::string Text(const absl::Status& status) {
  return std::string(status.message().data(), status.message().size());
}

}  // namespace

NcclEvent::NcclEvent(std::shared_ptr<NcclApi> api) : api_(std::move(api)) {
  const NcclApi::Result result = api_->MakeEvent(&event_);
  if (Failed(result)) throw Error(StatusOf(result, "making an event"));
}

NcclOrigin::NcclOrigin(std::shared_ptr<NcclApi> api, const NcclOptions& options)
    : api_(std::move(api)), options_(options) {
  const telemetry::SignalsBlocked blocked;
  watcher_ = std::thread([this] { Run(); });
}

NcclOrigin::~NcclOrigin() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  watcher_.join();
}

void NcclOrigin::Do(std::string_view description, NcclApi::Group* const* group, const Start& start,
                    std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  ThrowLocked();
  NcclApi::Result result = start();
  const Clock::time_point deadline = Clock::now() + timeout;
  for (int look = 0; result.code == NcclApi::Code::kInProgress; ++look) {
    if (Clock::now() > deadline) {
      const absl::Status late = absl::DeadlineExceededError(fmt::format(
          "{} has not been started within {} s: do all ranks run, and reach each other?",
          description, std::chrono::duration<double>(timeout).count()));
      // A group that isn't ours to look after yet is aborted with the others.
      if (group != nullptr && *group != nullptr) groups_.insert(*group);
      AbortLocked(late, nullptr);
      throw Error(late);
    }
    // Without the lock: an abort must get through.
    lock.unlock();
    if (look < kEagerLooks) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kLook);
    }
    lock.lock();
    ThrowLocked();
    result = api_->State(*group);
  }
  if (!Failed(result)) return;
  const absl::Status failure = StatusOf(result, description);
  if (group != nullptr && *group != nullptr) groups_.insert(*group);
  AbortLocked(failure, nullptr);
  throw Error(failure);
}

void NcclOrigin::Add(NcclApi::Group* group) {
  std::lock_guard lock(mutex_);
  ThrowLocked();
  groups_.insert(group);
}

void NcclOrigin::Remove(NcclApi::Group* group, bool gently) {
  std::unique_lock lock(mutex_);
  // An abort has freed it.
  if (groups_.erase(group) == 0) return;
  NcclApi::Result result{NcclApi::Code::kFailed};
  if (gently) result = api_->Finalize(group);
  const Clock::time_point deadline = Clock::now() + kTimeToFinalize;
  while (result.code == NcclApi::Code::kInProgress && Clock::now() < deadline) {
    std::this_thread::sleep_for(kLook);
    result = api_->State(group);
  }
  if (result.code == NcclApi::Code::kOk) {
    api_->Free(group);
  } else {
    api_->Abort(group);
  }
}

void NcclOrigin::Watch(std::shared_ptr<NcclCall> call) {
  {
    std::lock_guard lock(mutex_);
    if (aborted_.has_value()) {
      End(*call, absl::AbortedError(Text(*aborted_)));
      return;
    }
    calls_.push_back(std::move(call));
  }
  changed_.notify_all();
}

void NcclOrigin::MakeCurrentStreamWait(const NcclCall& call) {
  std::lock_guard lock(mutex_);
  if (!call.status.ok()) throw Error(call.status);
  // Of an event that has come already this costs a microsecond.
  const NcclApi::Result result = api_->MakeWait(api_->CurrentStream(), call.done->get());
  if (Failed(result)) throw Error(StatusOf(result, call.description));
}

void NcclOrigin::WaitOnHost(const NcclCall& call) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return call.ended; });
  if (!call.status.ok()) throw Error(call.status);
}

void NcclOrigin::WaitForGroup(NcclApi::Group* group) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return std::none_of(calls_.begin(), calls_.end(),
                        [&](const auto& call) { return call->group == group; });
  });
}

void NcclOrigin::Abort(std::string_view reason) {
  std::lock_guard lock(mutex_);
  AbortLocked(absl::AbortedError(std::string(reason)), nullptr);
}

void NcclOrigin::ThrowIfAborted() {
  std::lock_guard lock(mutex_);
  ThrowLocked();
}

void NcclOrigin::ThrowLocked() const {
  if (aborted_.has_value()) throw Error(absl::AbortedError(Text(*aborted_)));
}

void NcclOrigin::Run() {
  api_->UseDevice();
  std::unique_lock lock(mutex_);
  while (!stop_) {
    changed_.wait(lock, [this] { return stop_ || !calls_.empty(); });
    LookAtCalls();
    if (!calls_.empty()) changed_.wait_for(lock, kLook, [this] { return stop_; });
  }
}

void NcclOrigin::LookAtCalls() {
  std::vector<NcclCall*> done;
  std::map<NcclApi::Group*, NcclCall*> suspects;  // each group's oldest call that isn't done
  for (const std::shared_ptr<NcclCall>& call : calls_) {
    const NcclApi::Result result = api_->Query(call->done->get());
    if (Failed(result)) return AbortLocked(StatusOf(result, call->description), call.get());
    NcclCall*& suspect = suspects[call->group];
    if (result.code == NcclApi::Code::kOk) {
      done.push_back(call.get());
    } else if (suspect == nullptr) {
      suspect = call.get();
    }
  }
  // A call of a group that broke has come to its end as well, but to no good one.
  for (auto [group, suspect] : suspects) {
    const NcclApi::Result state = api_->State(group);
    if (!Failed(state)) continue;
    if (suspect == nullptr) {
      suspect = *std::find_if(done.begin(), done.end(),
                              [&](const NcclCall* call) { return call->group == group; });
    }
    return AbortLocked(StatusOf(state, suspect->description), suspect);
  }
  for (NcclCall* call : done) End(*call, absl::OkStatus());
  calls_.remove_if([](const auto& call) { return call->ended; });
  changed_.notify_all();
}

void NcclOrigin::End(NcclCall& call, const absl::Status& status) {
  call.ended = true;
  call.status = status;
  call.tensors.clear();
  if (call.ending) call.ending(status);
}

void NcclOrigin::AbortLocked(const absl::Status& why, const NcclCall* culprit) {
  if (aborted_.has_value()) return;
  aborted_ = why;
  // First the device lets go of the tensors, then they are given up.
  for (NcclApi::Group* group : groups_) api_->Abort(group);
  groups_.clear();
  const std::list<std::shared_ptr<NcclCall>> calls = std::exchange(calls_, {});
  for (const std::shared_ptr<NcclCall>& call : calls) {
    End(*call, call.get() == culprit ? why : absl::AbortedError(Text(why)));
  }
  changed_.notify_all();
}

}  // namespace tanren::comm
