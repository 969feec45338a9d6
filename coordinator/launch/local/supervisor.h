// The process that a part has for itself: starts what the part is to run, writes down what becomes
// of it, and ends it. It needs no agent for that, and it goes on when the agent is gone.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_SUPERVISOR_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_SUPERVISOR_H_

#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/launch/account.h"
#include "coordinator/launch/local/child_start.h"
#include "coordinator/launch/local/lease_page.h"
#include "coordinator/launch/local/part_commands.h"
#include "coordinator/launch/local/part_end.h"
#include "coordinator/launch/local/poll_set.h"
#include "coordinator/launch/local/rank_outputs.h"
#include "coordinator/launch/local/reach_check.h"
#include "coordinator/launch/local/sandbox.h"
#include "coordinator/launch/part_folder.h"
#include "coordinator/launch/run_progress.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

// For a process of its own with one thread.
class Supervisor {
 public:
  // The part's whole life; returns what to exit with. `control`: the launcher that asked for it.
  static int Run(const std::filesystem::path& folder, Descriptor control);

 private:
  // mpirun, a daemon of it, or the only rank.
  struct Child {
    pid_t process = 0;
    std::string role;
    int rank = -1;
    Descriptor failure;                 // until exec
    std::string refusal;                // what came from there
    std::optional<RemoteStart> remote;  // a daemon: who asked for it
  };
  // A rank that mpirun started and that has told us so.
  struct Rank {
    Descriptor connection;
    std::string role;
    int rank = -1;
    bool ended = false;
  };

  Supervisor(PartFolder folder, PartLock lock, SupervisorSpec spec, LeasePage lease);

  // Until the part has ended.
  void Live(Descriptor control);
  // Anything that keeps the part from being begun.
  absl::Status Begin();
  // Without limits, which is said, where they can't be had.
  void Limit();
  absl::Status ListenForAll();
  absl::Status StartGroup(const WorkerGroup& group);
  absl::Status StartDaemon(const RemoteStart& request);
  absl::Status StartChild(Child child, ChildStart start, bool prepare_folders);

  void Refuse(const absl::Status& why);
  // Ends the part where another node of its gang isn't reached.
  void CheckReach(int64_t now_ms);

  void AcceptControl(Descriptor connection);
  void OnControl(int descriptor);
  void OnRequest(const SupervisorRequest& request);
  void SendReport(const Descriptor& control);
  void SendRemoteEnd(const RemoteStart& request, int exit_code, const std::string& message);
  void AcceptRank();
  void OnRank(int descriptor);
  void OnRankRequest(Rank& rank, const RankRequest& request);
  absl::Status AnswerRank(const Rank& rank, const WorkerGroup& group);
  void OnRankSeen(int ranks);
  void AcceptEvents();
  // To the stream's end if `drain`; then it is forgotten.
  void OnEvents(int descriptor, bool drain);

  void OnFailurePipe(Child& child);
  void OnChildren();
  // `status` as of waitpid.
  void OnChildEnd(const Child& child, int status);
  void OnTime();
  // Has what its processes wait in written down, by a process of its own; `hung` is told then.
  void BeginHangReport();
  void OnHangReportEnd();

  void Stop(StopReason reason, int64_t grace_ms);
  void AddEnd(ProcessEnd end);
  void SignalChildren(int signal);
  bool HasToSave(StopReason reason) const;
  void SetRunning();
  // Nothing of the part lives when this returns.
  void End();

  // `at_once`: else with others, within half a second.
  void Publish(bool at_once);

  const PartFolder folder_;
  PartLock lock_;
  const SupervisorSpec spec_;
  const LeasePage lease_;
  PollSet polls_;
  RankOutputs outputs_;
  RunProgress progress_;
  std::optional<ReachCheck> reach_;  // until all are reached
  std::vector<WorkerGroup> groups_;
  UserIds user_;
  std::optional<Sandbox> sandbox_;
  std::filesystem::path cgroup_;  // empty: none

  Descriptor child_signals_;
  Descriptor control_listener_;
  Descriptor rank_listener_;
  Descriptor event_listener_;
  std::map<int, Descriptor> controls_;
  std::map<int, std::pair<Descriptor, EventStream>> event_streams_;
  std::map<int, Rank> ranks_;
  std::list<Child> children_;
  int ranks_seen_ = 0;
  int daemons_expected_ = 0;  // that haven't ended yet, on a node that isn't the head

  PartReport report_;
  PartHistory history_;
  int64_t kill_at_ms_ = 0;  // 0: nothing is being stopped
  bool is_saving_ = false;
  pid_t hang_reporter_ = 0;
  bool signals_after_report_ = false;
  int64_t hang_told_by_ms_ = 0;  // whether the report is ready or not; 0: it doesn't hang
  int64_t publish_at_ms_ = 0;
  bool over_ = false;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_SUPERVISOR_H_
