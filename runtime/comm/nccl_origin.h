// What the groups of one NCCL world share: a watcher that sees calls end or fail, and one fate.
#ifndef TANREN_RUNTIME_COMM_NCCL_ORIGIN_H_
#define TANREN_RUNTIME_COMM_NCCL_ORIGIN_H_

#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "runtime/comm/nccl.h"
#include "runtime/comm/nccl_api.h"

namespace tanren::comm {

// An event that is freed with its last user.
class NcclEvent {
 public:
  explicit NcclEvent(std::shared_ptr<NcclApi> api);
  NcclEvent(const NcclEvent&) = delete;
  NcclEvent& operator=(const NcclEvent&) = delete;
  ~NcclEvent() { api_->FreeEvent(event_); }
  NcclApi::Event* get() const { return event_; }

 private:
  std::shared_ptr<NcclApi> api_;
  NcclApi::Event* event_ = nullptr;
};

// A call that the device has been given.
struct NcclCall {
  using Ending = std::function<void(const absl::Status&)>;

  NcclApi::Group* group = nullptr;
  std::string description;
  std::shared_ptr<NcclEvent> done;
  Ending ending;                    // called once
  std::vector<at::Tensor> tensors;  // until it has ended
  // Guarded by the origin's mutex.
  bool ended = false;
  absl::Status status;
};

class NcclOrigin {
 public:
  NcclOrigin(std::shared_ptr<NcclApi> api, const NcclOptions& options);
  NcclOrigin(const NcclOrigin&) = delete;
  NcclOrigin& operator=(const NcclOrigin&) = delete;
  ~NcclOrigin();

  NcclApi& api() { return *api_; }
  const std::shared_ptr<NcclApi>& shared_api() const { return api_; }
  const NcclOptions& options() const { return options_; }

  using Start = std::function<NcclApi::Result()>;
  // Makes a call of the API, and waits until it has been started if it is on a `group` (null
  // otherwise; `group` is read after the call, which may set it). A failure, or a wait that is
  // longer than `timeout`, ends all groups and is thrown, with `description` before it.
  void Do(std::string_view description, NcclApi::Group* const* group, const Start& start,
          std::chrono::milliseconds timeout);

  // From now on the watcher looks after the group.
  void Add(NcclApi::Group* group);
  // Ends it: with the other ranks if all is in order and `gently`, else alone.
  void Remove(NcclApi::Group* group, bool gently);

  // From now on the watcher looks after the call.
  void Watch(std::shared_ptr<NcclCall> call);
  // Makes the current stream wait; throws the call's failure.
  void MakeCurrentStreamWait(const NcclCall& call);
  // Makes this thread wait.
  void WaitOnHost(const NcclCall& call);
  // … for every call on the group.
  void WaitForGroup(NcclApi::Group* group);

  // Ends all groups here. The first reason stands.
  void Abort(std::string_view reason);
  void ThrowIfAborted();

 private:
  void Run();
  // All with mutex_ held.
  void LookAtCalls();
  void End(NcclCall& call, const absl::Status& status);
  void AbortLocked(const absl::Status& why, const NcclCall* culprit);
  void ThrowLocked() const;

  std::shared_ptr<NcclApi> api_;
  NcclOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<absl::Status> aborted_;
  std::set<NcclApi::Group*> groups_;
  std::list<std::shared_ptr<NcclCall>> calls_;
  bool stop_ = false;
  std::thread watcher_;
};

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_NCCL_ORIGIN_H_
