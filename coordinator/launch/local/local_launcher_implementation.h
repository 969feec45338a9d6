// What a LocalLauncher is made of: see local_launcher.h.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_LOCAL_LAUNCHER_IMPLEMENTATION_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_LOCAL_LAUNCHER_IMPLEMENTATION_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "coordinator/launch/local/lease_page.h"
#include "coordinator/launch/local/local_launcher.h"
#include "coordinator/launch/local/local_parts.h"
#include "coordinator/launch/local/poll_set.h"
#include "coordinator/launch/local/unix_socket.h"
#include "coordinator/state/cluster.h"

namespace tanren::coordinator {

// The mutex guards everything that both threads use. The loop's thread is the only one that reads
// from supervisors; writing to them never waits.
class LocalLauncher::Implementation {
 public:
  explicit Implementation(LocalLauncherOptions options, Descriptor lock, LeasePage lease)
      : options_(std::move(options)),
        lock_(std::move(lock)),
        lease_(std::move(lease)),
        ended_(options_.state, options_.ended_parts_kept) {}
  ~Implementation();

  absl::Status Begin();

  void Start(const PartSpec& part);
  void Stop(const AttemptToken& token, StopReason reason, int64_t grace_ms);
  void Forget(const AttemptToken& token);
  std::vector<PartReport> Parts();
  void SetDeadline(int64_t steady_ms) { lease_.Set(steady_ms); }
  int64_t Deadline() const { return lease_.deadline_ms(); }
  absl::StatusOr<LogChunk> ReadLog(const ReadLogChunk& request);
  absl::Status StartRemote(const RemoteStart& request, std::function<void(const RemoteEnd&)> ended);
  void OnChange(std::function<void()> changed);
  void OnRemoteEnd(const RemoteEnd& end);

 private:
  struct WaitingRemote {
    RemoteStart request;
    int64_t until_ms = 0;
  };
  struct RemoteShell {
    Descriptor connection;
    uint64_t request = 0;  // 0: hasn't asked yet
  };

  void Adopt();
  absl::Status StartSupervisor(LocalPart& part, const PartSpec& spec);
  SupervisorSpec SpecFor(const PartSpec& part) const;
  void Send(LocalPart& part, const SupervisorRequest& request);
  void SendUnsent(LocalPart& part);
  void SendWaitingRemotes(LocalPart& part);
  void EndRemote(const RemoteEnd& end);
  void Changed() { has_news_ = true; }
  void Wake();

  // The loop's thread.
  void Loop();
  void Reach(LocalPart& part);
  void OnControl(const AttemptToken& token);
  void OnReply(LocalPart& part, const SupervisorReply& reply);
  void OnTime();
  void AcceptShell();
  void OnShell(int descriptor);
  absl::StatusOr<RemoteStart> RequestOfShell(const Descriptor& connection, const Packet& packet);

  LocalLauncherOptions options_;
  Descriptor lock_;
  LeasePage lease_;
  std::string worker_, mpirun_, orted_, cgroup_;
  std::vector<std::string> libraries_;  // of the programs, where parts would not see them

  std::mutex mutex_;
  EndedParts ended_;
  std::map<AttemptToken, LocalPart> parts_;
  std::map<uint64_t, std::function<void(const RemoteEnd&)>> remote_ends_;
  std::vector<WaitingRemote> waiting_remotes_;
  std::vector<std::pair<std::function<void(const RemoteEnd&)>, RemoteEnd>> ended_remotes_;
  std::map<int, RemoteShell> shells_;
  std::function<void()> changed_;
  bool has_news_ = false;
  std::vector<AttemptToken> to_watch_;
  std::vector<Descriptor> to_close_;

  PollSet polls_;
  Descriptor wake_;
  Descriptor shell_listener_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_LOCAL_LAUNCHER_IMPLEMENTATION_H_
