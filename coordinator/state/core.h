// The coordinator without its clock, disk and network: inputs in, decisions out. What decides here
// runs under simulation exactly as it runs in the daemon.
#ifndef TANREN_COORDINATOR_STATE_CORE_H_
#define TANREN_COORDINATOR_STATE_CORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/state/cluster.h"
#include "coordinator/state/records.h"
#include "coordinator/state/schedule.h"
#include "coordinator/store/store.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

struct CoreOptions {
  ScheduleOptions schedule;
  // A node's lease: agents renew it every 2 s.
  int64_t lease_ms = 10'000;
  // Without a report for so long a node is SILENT and its jobs UNKNOWN.
  int64_t silent_ms = 6'000;
  // Beyond the lease, before what a silent node held is given away.
  int64_t grace_ms = 2'000;
  // What a stopped attempt gets to save and exit.
  int64_t stop_grace_ms = 30'000;
  // So many faults in a row drain a node.
  int32_t suspicion_limit = 3;
  // Ended jobs are forgotten after so much time, and beyond so many.
  int64_t keep_ended_ms = 30LL * 24 * 3600 * 1000;
  int64_t keep_ended_jobs = 1'000'000;
  // A request that is sent again gets the answer that it got within this time, and for an hour at
  // least however many there are. After it the same id is a new request.
  int64_t keep_requests_ms = 7LL * 24 * 3600 * 1000;
  int64_t keep_requests = 1'000'000;
  int64_t keep_requests_at_least_ms = 3'600'000;
  // Jobs that may wait at once, of all users together and of one whose quota says nothing else:
  // each is in memory. 0: any number.
  int64_t waiting_jobs = 0;
  int64_t waiting_jobs_of_user = 0;
  std::string default_launcher = "local";
  bool allow_commands = false;
  RestartPolicy default_restart;  // what a job's own leaves at 0
  // An attempt that isn't RUNNING so long after it was placed is taken to hang. Not with Slurm,
  // whose queue it may wait in.
  int64_t start_limit_ms = 600'000;
  // Scheduling passes come at least so far apart, and while jobs wait at most.
  int64_t schedule_every_ms = 10;
  int64_t schedule_at_least_every_ms = 5'000;
  std::function<Plan(const Cluster&, const ScheduleOptions&, Now)> scheduler = Schedule;
};

// Inputs. `user` is who was authenticated.
struct SubmitInput {
  std::string user;
  std::string request_id;
  JobSpec spec;
};
struct ChangeJobInput {
  enum class Kind { kCancel, kHold, kRelease, kRequeue };
  Kind kind;
  std::string user;
  bool admin = false;  // may change others' jobs
  std::string request_id;
  uint64_t job = 0;
  std::string reason;
};
struct ChangeNodeInput {
  enum class Kind { kDrain, kResume, kRemove };
  Kind kind;
  std::string user;
  std::string node;
  std::string reason;
  std::string request_id;  // empty: not asked to be answered the same twice
  bool evict = false;      // kDrain: what runs there is stopped, to go on elsewhere
};
struct SetQuotaInput {
  Quota quota;
  std::string user;
  std::string request_id;
};
// An agent's stream began: all that the node knew of orders is void.
// `stream` tells a node's streams apart: what comes late from an earlier one changes nothing. Each
// is greater than all before, also those of an earlier process.
struct JoinInput {
  Node node;
  uint64_t stream = 0;
  // Its token or certificate is the node's own: no other key counts.
  bool vouched = false;
};
// A node's stream ended: no more orders for it.
struct LeaveInput {
  std::string node;
  uint64_t stream = 0;
};
struct ReportInput {
  std::string node;
  NodeReport report;
  uint64_t stream = 0;
};
// Time has passed: leases, time limits, back-offs, and a scheduling pass.
struct TickInput {};

using Input = std::variant<SubmitInput, ChangeJobInput, ChangeNodeInput, SetQuotaInput, JoinInput,
                           LeaveInput, ReportInput, TickInput>;

// What follows from an input. Nothing of it may leave before `commit` is durable.
struct Outcome {
  Commit commit;
  absl::Status status;                   // the answer: an error changes nothing
  std::vector<uint64_t> jobs;            // of a submission: also of one that was made before
  std::map<std::string, Orders> orders;  // by node
};

// Not thread-safe. If a commit fails the core is ahead of the store: make a new one.
class Core {
 public:
  // Goes on from a restored cluster. Leases of nodes that held work are taken as renewed now; what
  // ran is taken to run until its agent says otherwise or its lease has passed.
  Core(CoreOptions options, Cluster cluster, Now now);

  Outcome Step(const Input& input, Now now);

  const Cluster& cluster() const { return cluster_; }
  const CoreOptions& options() const { return options_; }
  // When a TickInput has something to do, by the steady clock.
  int64_t NextTick() const;
  // Whether `node` may act for the attempt now.
  bool MayAct(const AttemptToken& token, const std::string& node) const;
  // What is known but not durable.
  const std::map<uint64_t, Progress>& progress() const { return progress_; }
  int64_t HeardMs(const std::string& node) const;  // wall; 0: never

 private:
  // What is known of a node's part of a job's present attempt beyond what is durable.
  struct Part {
    bool seen = false;     // its agent has listed it
    bool running = false;  // and said that it runs
    // Until then (steady) it may live though its agent doesn't list it: an agent whose state folder
    // went, or a machine that took the node's name, knows nothing of what was there before.
    int64_t unlisted_until_ms = 0;
    uint64_t stop_order = 0;  // the first orders of this stream that told it to stop
  };
  // A node's stream and lease.
  struct Session {
    bool connected = false;
    bool reported = false;  // in this stream
    uint64_t stream = 0;
    uint64_t last_report = 0;
    uint64_t last_orders = 0;
    uint64_t orders_before = 0;  // those of this stream have greater numbers, given to no other
    int64_t heard_steady_ms = 0;
    int64_t heard_wall_ms = 0;
    std::map<uint64_t, Part> parts;  // by job
    // What lives there though nothing that holds the node is called so.
    std::set<AttemptToken> strangers;
    int64_t former_until_ms = 0;  // those of a former incarnation may live until then, steady
  };

  void Handle(const SubmitInput& input);
  void Handle(const ChangeJobInput& input);
  void Handle(const ChangeNodeInput& input);
  void Handle(const SetQuotaInput& input);
  void Handle(const JoinInput& input);
  void Handle(const LeaveInput& input);
  void Handle(const ReportInput& input);
  void Handle(const TickInput& input);

  // Applies the event, to be committed with this step. An event that isn't legal is a defect: it
  // changes nothing, and is the step's status unless there is one.
  bool Emit(HistoryEvent event);
  HistoryEvent NewEvent() const;
  // What is watched of a job (its limits, back-off, orders) follows what became of it.
  void Follow(const HistoryEvent& event);
  void WatchLimit(const Job& job);
  void Touch(const Attempt& attempt);
  void AskForPass(int64_t at_ms);

  // Submissions and other requests.
  bool AnswerAgain(const std::string& user, const std::string& request_id, uint64_t fingerprint);
  bool BeginRequest(const std::string& user, const std::string& request_id, uint64_t fingerprint,
                    HistoryEvent& event);
  absl::Status CheckDependencies(const JobSpec& spec) const;
  absl::Status CheckPendingQuota(const Job& job, int64_t more) const;
  absl::Status ChangeJob(const ChangeJobInput& input, const Job& job, HistoryEvent event);
  void Cancel(const Job& job, HistoryEvent event, const std::string& by);
  void EndJob(uint64_t job, JobState state, const std::string& message);
  void DecideDependants(const Job& ended);

  // Nodes.
  void Drain(const ChangeNodeInput& input, HistoryEvent event);
  void Remove(const std::string& node, HistoryEvent event);
  Session& SessionOf(const std::string& node);
  void Replace(const std::string& node, Session& session);
  void Forgive(int64_t stood_ms);
  void WatchNodes();
  void LoseSight(const Node& node);
  void Lose(const std::string& node);
  void FindAgain(const std::string& node);
  void Suspect(const std::string& node, const AttemptToken& token, const AttemptEnd& end);
  void ChangeNodeState(const std::string& node, Node::State state);

  // Attempts.
  void TakePart(const std::string& node, const PartReport& part, Session& session);
  void MissPart(const std::string& node, const Job& job, uint64_t orders, Session& session);
  void Publish(const Job& job, const Checkpoint& checkpoint);
  void EndPart(const Job& job, const std::string& node, AttemptEnd end);
  void Stop(const Job& job, StopReason reason, const std::string& by);
  void BecomeKnown(const Job& job);
  void Settle(uint64_t job);
  void EndAttempt(const Job& job);
  void NoteStrangers(std::set<AttemptToken> strangers, Session& session);
  bool RunsEverywhere(const Job& job) const;
  int64_t ElapsedMs(int64_t since_steady_ms, int64_t since_wall_ms) const;
  std::vector<Usage> UsageAfter(const Job& job) const;

  // Ticks.
  void CutBackOffs();
  void EnforceLimits();
  void Pass();
  bool MayPlace(const PlannedStart& start) const;
  bool IsOfAnOlderEpoch(uint64_t job) const;
  bool HaveAllBeenHeardOf() const;
  void Place(const PlannedStart& start);
  // Return by when, on the wall, there is more to forget.
  int64_t ForgetEnded();
  int64_t ForgetRequests();

  Orders MakeOrders(const std::string& node, Session& session) const;
  PartOrder MakeOrder(const Job& job, const std::string& node, Part* part, uint64_t orders) const;

  CoreOptions options_;
  Cluster cluster_;
  std::map<uint64_t, Progress> progress_;
  std::map<std::string, Session> sessions_;
  std::map<uint64_t, int> strange_jobs_;  // on how many nodes strangers of the job live

  // Deadlines, steady. A node's is looked at when it is due, and set anew if it was heard of.
  std::set<std::pair<int64_t, std::string>> node_deadlines_;
  std::set<std::pair<int64_t, uint64_t>> limits_;
  std::map<uint64_t, int64_t> limit_of_;
  std::set<std::pair<int64_t, uint64_t>> back_offs_;  // wall, by our own reckoning
  int64_t next_pass_ms_ = 0;
  int64_t next_forget_ms_ = 0;  // when something that has ended is too old, or too many
  int64_t last_pass_ms_ = 0;
  bool passed_ = false;
  bool started_ = false;
  int64_t place_from_ms_ = 0;
  // Wall time goes on from the start by the steady clock: nobody who sets the clock hastens or
  // delays anything.
  int64_t wall_offset_ms_ = 0;
  uint64_t first_free_job_ = 1;  // beyond what agents told of

  // Of the step that is being made.
  Now now_;
  Outcome outcome_;
  std::set<RecordName> names_;
  std::set<std::string> touched_;
  std::vector<uint64_t> ended_now_;  // jobs whose dependants are to be decided
};

// Whether the agent that joins may speak for the node, of which `known` (or null) is known: the
// first to come claims the name by its key. kPermissionDenied says what an administrator can do.
absl::Status CheckClaim(const JoinInput& join, const Node* known);

// kInvalidArgument names the field, what was found and what is expected.
absl::Status CheckSpec(const JobSpec& spec, const CoreOptions& options);

// The spec as a job of it gets it: with launcher, restart policy and the name of a single role
// where it leaves them open.
JobSpec Completed(const JobSpec& spec, const CoreOptions& options);

// The event of a store that begins, or that was restored from a backup: what ran since is fenced.
// `epoch` is greater than any that was.
HistoryEvent EpochEvent(const Cluster& cluster, uint64_t epoch, uint64_t next_job, Now now);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_CORE_H_
