#include "tests/coordinator/simulation/users.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "tests/coordinator/simulation/coordinator.h"
#include "tests/coordinator/simulation/followers.h"
#include "tests/coordinator/simulation/history_checker.h"
#include "tests/coordinator/simulation/network.h"

namespace tanren::coordinator::simulation {

Users::Users(World& world)
    : world_(world), dice_(world.seed, Purpose::kClients), jobs_of_(world.workload.jobs.size()) {}

void Users::Begin() {
  for (const Quota& quota : world_.workload.quotas) {
    SetQuotaInput input;
    input.quota = quota;
    input.user = "admin";
    input.request_id = "quota-" + quota.subject();
    Send(std::make_shared<Request>(Request{input, "", -1, false}));
  }
  for (size_t i = 0; i < world_.workload.jobs.size(); ++i) {
    world_.queue.At(world_.workload.jobs[i].submit_at_ms * kMillisecond,
                    [this, i] { Submit(static_cast<int>(i)); });
  }
  Administer();
}

void Users::Submit(int plan) {
  const JobPlan& wanted = world_.workload.jobs[static_cast<size_t>(plan)];
  SubmitInput input;
  input.user = wanted.user;
  input.request_id = wanted.request_id;
  input.spec = wanted.spec;
  for (const auto& [before, kind] : wanted.after) {
    for (const uint64_t job : jobs_of_[static_cast<size_t>(before)]) {
      Dependency* dependency = input.spec.add_dependencies();
      dependency->set_job(job);
      dependency->set_kind(kind);
    }
  }
  const std::string name = wanted.user + "/" + wanted.request_id;
  Send(std::make_shared<Request>(Request{input, name, plan, false}));
}

void Users::Send(std::shared_ptr<Request> request) {
  world_.network->OfUsers([this, request] {
    // An answer out of a history that is lost counts as lost too.
    const auto of = [this, asked = world_.coordinator.get()] {
      return std::pair(asked == world_.coordinator.get(), world_.histories.restores);
    };
    world_.coordinator->Call(
        request->input, [this, request, of](const absl::Status& status, const auto& jobs) {
          const auto [counts, restores] = of();
          if (!counts) return;
          world_.network->OfUsers([this, request, status, jobs, restores = restores] {
            if (restores == world_.histories.restores) Answered(request, status, jobs);
          });
        });
  });
  world_.queue.After(dice_.Between(500, 4'000) * kMillisecond, [this, request] {
    if (!request->answered) Send(request);
  });
}

void Users::Answered(const std::shared_ptr<Request>& request, const absl::Status& status,
                     const std::vector<uint64_t>& jobs) {
  if (absl::IsUnavailable(status) || absl::IsResourceExhausted(status)) return;
  const bool first = !request->answered;
  request->answered = true;
  if (request->plan < 0) return;
  if (!status.ok()) {
    if (first) refused_.insert(request->plan);
    world_.trace.Add(world_.now_us(), "refused", -1, 0, 0, request->plan);
    // What it depends on may be gone with a store that was restored.
    if (world_.workload.jobs[static_cast<size_t>(request->plan)].after.empty()) {
      world_.Violate("a valid job is taken",
                     fmt::format("plan {}: {}", request->plan, std::string(status.message())));
    }
    return;
  }
  if (!first && jobs != jobs_of_[static_cast<size_t>(request->plan)] &&
      !world_.history->IsAcknowledged(request->name)) {
    return;  // an answer from before the store was restored
  }
  world_.history->Acknowledged(request->name, jobs);
  jobs_of_[static_cast<size_t>(request->plan)] = jobs;
  if (!first) return;
  if (dice_.Chance(0.1)) {
    world_.queue.After(dice_.Between(10, 60'000) * kMillisecond, [this, request] {
      if (world_.history->IsAcknowledged(request->name)) Send(request);
    });
  }
  for (const uint64_t job : jobs) {
    Meddle(request->plan, job);
    // Not so many that all else goes under.
    if (dice_.Chance(world_.workload.jobs.size() < 1'000 ? 0.1 : 0.003)) {
      world_.followers->Follow(job);
    }
  }
}

void Users::Meddle(int plan, uint64_t job) {
  const JobPlan& wanted = world_.workload.jobs[static_cast<size_t>(plan)];
  const auto later = [this, &wanted, job](ChangeJobInput::Kind kind, int64_t after_ms) {
    world_.queue.After(after_ms * kMillisecond,
                       [this, kind, user = wanted.user, job] { Change(kind, user, job); });
  };
  switch (wanted.meddling) {
    case Meddling::kNone:
      break;
    case Meddling::kCancel:
      later(ChangeJobInput::Kind::kCancel, wanted.meddle_after_ms);
      break;
    case Meddling::kRequeue:
      later(ChangeJobInput::Kind::kRequeue, wanted.meddle_after_ms);
      break;
    case Meddling::kHoldAndRelease:
      later(ChangeJobInput::Kind::kHold, wanted.meddle_after_ms);
      later(ChangeJobInput::Kind::kRelease, wanted.meddle_after_ms + 20'000);
      break;
  }
}

void Users::Change(ChangeJobInput::Kind kind, const std::string& user, uint64_t job) {
  ChangeJobInput input;
  input.kind = kind;
  input.user = user;
  input.admin = user == "admin";
  input.request_id = fmt::format("change-{}", ++changes_);
  input.job = job;
  input.reason = "by the plan";
  Send(std::make_shared<Request>(Request{input, "", -1, false}));
}

void Users::Drain(int node, bool evict) {
  ChangeNodeInput input;
  input.kind = ChangeNodeInput::Kind::kDrain;
  input.user = "admin";
  input.node = World::NodeName(node);
  input.reason = "maintenance";
  input.request_id = fmt::format("change-{}", ++changes_);
  input.evict = evict;
  Send(std::make_shared<Request>(Request{input, "", -1, false}));
}

void Users::ResumeNode(int node) {
  ChangeNodeInput input;
  input.kind = ChangeNodeInput::Kind::kResume;
  input.user = "admin";
  input.node = World::NodeName(node);
  input.request_id = fmt::format("change-{}", ++changes_);
  Send(std::make_shared<Request>(Request{input, "", -1, false}));
}

void Users::RemoveNode(int node) {
  ChangeNodeInput input;
  input.kind = ChangeNodeInput::Kind::kRemove;
  input.user = "admin";
  input.node = World::NodeName(node);
  input.request_id = fmt::format("change-{}", ++changes_);
  Send(std::make_shared<Request>(Request{input, "", -1, false}));
}

void Users::Administer() {
  // Nodes that were drained for their faults, and jobs that were held for theirs, or whose
  // dependencies can't be met any more.
  world_.queue.After(15 * kSecond, [this] {
    if (const Core* core = world_.coordinator->core()) {
      for (const auto& [name, node] : core->cluster().nodes) {
        if (node.draining() && node.drain_reason() != "maintenance") {
          ResumeNode(World::NodeIndex(name));
        } else if (node.draining() && world_.calm) {
          ResumeNode(World::NodeIndex(name));
        }
      }
      for (const uint64_t id : core->cluster().pending) {
        if (!core->cluster().FindJob(id)->held()) continue;
        if (world_.calm || dice_.Chance(0.3)) Change(ChangeJobInput::Kind::kRelease, "admin", id);
      }
      if (world_.calm) {
        for (const uint64_t id : core->cluster().pending) {
          const Job& job = *core->cluster().FindJob(id);
          for (const Dependency& dependency : job.spec().dependencies()) {
            const Job* other = core->cluster().FindJob(dependency.job());
            // Nothing waits for what never comes.
            if (other == nullptr || (IsTerminal(other->state()) &&
                                     (other->state() == SUCCEEDED) !=
                                         (dependency.kind() == Dependency::AFTER_SUCCESS) &&
                                     dependency.kind() != Dependency::AFTER_END)) {
              Change(ChangeJobInput::Kind::kCancel, "admin", id);
              break;
            }
          }
        }
      }
    }
    Administer();
  });
}

bool Users::AllEnded() const {
  const Core* core = world_.coordinator->core();
  if (core == nullptr || !core->cluster().pending.empty() || !core->cluster().holding.empty()) {
    return false;
  }
  for (size_t i = 0; i < jobs_of_.size(); ++i) {
    if (jobs_of_[i].empty() && !refused_.contains(static_cast<int>(i))) return false;
  }
  return true;
}

int Users::CountUnfinished() const {
  size_t unanswered = 0;
  for (size_t i = 0; i < jobs_of_.size(); ++i) {
    if (jobs_of_[i].empty() && !refused_.contains(static_cast<int>(i))) ++unanswered;
  }
  const Core* core = world_.coordinator->core();
  if (core == nullptr) return static_cast<int>(unanswered);
  return static_cast<int>(unanswered + core->cluster().pending.size() +
                          core->cluster().holding.size());
}

uint64_t Users::FirstUnfinished() const {
  const Core* core = world_.coordinator->core();
  if (core == nullptr) return 0;
  for (const auto* set : {&core->cluster().holding, &core->cluster().pending}) {
    if (!set->empty()) return *set->begin();
  }
  return 0;
}

std::string Users::Unfinished() const {
  const Core* core = world_.coordinator->core();
  if (core == nullptr) return "the coordinator doesn't run";
  std::string text;
  int unanswered = 0;
  for (size_t i = 0; i < jobs_of_.size(); ++i) {
    unanswered += jobs_of_[i].empty() && !refused_.contains(static_cast<int>(i)) ? 1 : 0;
  }
  if (unanswered > 0) text += fmt::format("{} submissions without an answer; ", unanswered);
  int shown = 0;
  const Now now = world_.coordinator->now();
  for (const auto* set : {&core->cluster().holding, &core->cluster().pending}) {
    for (const uint64_t id : *set) {
      if (++shown > 5) continue;
      const Job& job = *core->cluster().FindJob(id);
      text += fmt::format("\n  job {} {} attempt {} stop {}: {}", id, JobState_Name(job.state()),
                          job.attempts(), StopReason_Name(job.attempt().stop_reason()),
                          Explain(core->cluster(), core->options().schedule, id, now).text());
    }
  }
  return text + fmt::format("\n  {} jobs in all", shown);
}

}  // namespace tanren::coordinator::simulation
