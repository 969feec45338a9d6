// The coordinator's durable events, followed by a second, simpler reckoning: which of them may be.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_HISTORY_CHECKER_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_HISTORY_CHECKER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "coordinator/state/cluster.h"
#include "proto/history.pb.h"
#include "tests/coordinator/simulation/evidence.h"
#include "tests/coordinator/simulation/world.h"

namespace tanren::coordinator::simulation {

inline constexpr char kLegalTransitions[] = "legal transitions, terminal final";

class HistoryChecker {
 public:
  explicit HistoryChecker(World& world) : world_(world) {}

  // An event that is on disk now.
  void Durable(const HistoryEvent& event);
  // The answer to a submission has reached a user.
  void Acknowledged(const std::string& request, const std::vector<uint64_t>& jobs);
  // The store is now as it was when its last event was number `sequence`: users know that what was
  // acknowledged since is gone.
  void RolledBack(const Cluster& cluster);
  // Nothing acknowledged is missing, and states are what the events say.
  void CheckAll(const Cluster& cluster);
  void CheckJob(const Cluster& cluster, uint64_t job);
  // A part starts to train.
  void CheckResume(const PartSpec& part);
  // The head has written a checkpoint of this step when asked to stop, and exits.
  void SavedBy(const AttemptToken& token, int64_t step);

  // A process of the job begins: none may once its program has finished, or the job has ended, as
  // far as the coordinator knows durably.
  void CheckMayBegin(const AttemptToken& token);

  bool IsAcknowledged(const std::string& request) const { return answers_.contains(request); }
  const std::map<std::string, std::vector<uint64_t>>& answers() const { return answers_; }

 private:
  struct Known {
    JobState state = PENDING;
    JobSpec spec;
    AttemptToken token;                 // of the last attempt
    std::map<std::string, bool> ended;  // its nodes -> whether its part there has ended
    std::string head;                   // the node with its first rank
    std::set<std::pair<std::string, int>> gpus;
    int64_t published_step = 0;
    uint32_t attempts = 0;
    bool held = false;
    bool finished = false;  // its program has ended of itself, and well
    bool ended_for_good = false;
  };

  // Whether a job in that state has an attempt.
  static bool Active(JobState state);

  Known* Find(uint64_t job, const char* what);
  Known* FindByToken(const AttemptToken& token, const char* what);
  void Placed(const Attempt& attempt);
  void CheckGangIsWhole(const Known& job, const Attempt& attempt);
  void GiveBack(Known& job, const std::string& node);
  void ChangeNode(const HistoryEvent& event);
  void ChangeAttempt(const HistoryEvent& event);
  void ChangeJob(const HistoryEvent& event);
  bool Expect(bool holds, uint64_t job, const std::string& what);

  World& world_;
  uint64_t sequence_ = 0;
  uint64_t epoch_ = 0;
  uint64_t highest_epoch_ = 0;
  std::map<uint64_t, Known> jobs_;
  std::map<std::pair<std::string, int>, uint64_t> gpus_;  // node, GPU -> job
  std::set<std::string> nodes_down_;
  std::set<uint64_t> forgotten_;                          // ended, and their time is over
  std::set<uint64_t> used_ids_;                           // ever, also before a roll-back
  std::map<std::string, std::vector<uint64_t>> answers_;  // by "<user>/<request id>"
  std::map<uint64_t, std::string> owner_;                 // of an acknowledged id
  std::map<TokenKey, int64_t> saved_;
  std::map<TokenKey, int64_t> resumes_at_;  // the last published step when it was placed
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_HISTORY_CHECKER_H_
