// Drives a core by hand, as agents, people and time would, and checks after every step what must
// hold at every moment.
#ifndef TANREN_TESTS_COORDINATOR_STATE_CORE_DRIVER_H_
#define TANREN_TESTS_COORDINATOR_STATE_CORE_DRIVER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/state/core.h"

namespace tanren::coordinator {

class CoreDriver {
 public:
  // Options' scheduler is replaced: jobs start where Place says.
  explicit CoreDriver(CoreOptions options = Options());

  static CoreOptions Options();  // commands are allowed
  // A command in /data, one role of `ranks` ranks with one GPU each.
  static JobSpec Spec(int ranks = 1);

  // Steps. What they led to is in `outcome`.
  const Outcome& Step(const Input& input);
  absl::Status Submit(const JobSpec& spec, const std::string& request = "",
                      const std::string& user = "alice");
  uint64_t SubmitOne(const JobSpec& spec = Spec());  // fails the test on an error
  absl::Status Change(ChangeJobInput::Kind kind, uint64_t job, const std::string& user = "alice",
                      bool admin = false, const std::string& request = "");
  void Cancel(uint64_t job);  // by its owner; fails the test on an error
  // Joins with 4 GPUs, 16 cores, 64 GiB, and reports that it holds nothing, unless told otherwise.
  void AddNode(const std::string& name, bool report = true);
  // The next pass starts the job with one GPU on each of `nodes`; the pass is made.
  void Place(uint64_t job, const std::vector<std::string>& nodes);
  // The same without checking that it was placed.
  void TryToPlace(uint64_t job, const std::vector<std::string>& nodes);
  void Preempt(uint64_t victim, uint64_t beneficiary);  // which waits
  // Time passes; ticks come when they are asked for, and the nodes of `reporting` report every 2 s.
  void Wait(int64_t ms, const std::vector<std::string>& reporting = {});
  // The node holds an attempt of epoch 1 that nobody need have placed there.
  void HoldStranger(const std::string& node, uint64_t job, uint32_t attempt, PartState state);
  // The node reports what `holds` says of it.
  void Report(const std::string& node);
  // The core is made anew from the records that were committed.
  void Restart();
  // Its store is a copy of the past, under a new epoch.
  void RestoreFrom(const std::map<std::pair<RecordKind, std::string>, std::string>& records);

  // A part as its agent has it; reported with the next report of the node.
  PartReport& Part(uint64_t job, const std::string& node);
  // Sets its state and reports.
  void Say(uint64_t job, const std::string& node, PartState state);
  void SayEnded(uint64_t job, const std::string& node, AttemptEnd::Kind kind);
  // Placed on `nodes`, and running everywhere.
  void Run(uint64_t job, const std::vector<std::string>& nodes);
  // What Node's agent was last told about the job's part; none: nothing.
  std::optional<PartOrder> Order(uint64_t job, const std::string& node) const;

  const Job& job(uint64_t id) const { return core->cluster().jobs.at(id); }
  JobState state(uint64_t id) const { return job(id).state(); }
  const Node& node(const std::string& name) const { return core->cluster().nodes.at(name); }
  AttemptToken token(uint64_t id) const { return job(id).attempt().token(); }
  // Kinds of the events of the last step, in order.
  std::vector<HistoryEvent::KindCase> Kinds() const;

  CoreOptions options;
  Now now{1'800'000'000'000, 5'000'000};
  std::optional<Core> core;
  Outcome outcome;
  std::vector<HistoryEvent> history;
  std::map<std::pair<RecordKind, std::string>, std::string> records;
  std::map<std::string, std::map<std::string, PartReport>> holds;  // node -> token -> part
  std::map<std::string, Orders> orders;                            // the last of each node
  bool check_all = true;  // after each step: costs as much as the cluster is large

 private:
  void Check(const Cluster& before);

  Plan plan_;
  int requests_ = 0;
  std::map<std::string, uint64_t> report_numbers_;
};

// All records of the cluster as one text: equal for equal clusters.
std::string Everything(const Cluster& cluster);
std::vector<Record> AsRecords(
    const std::map<std::pair<RecordKind, std::string>, std::string>& records);

}  // namespace tanren::coordinator

#endif  // TANREN_TESTS_COORDINATOR_STATE_CORE_DRIVER_H_
