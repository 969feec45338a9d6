#include "tests/coordinator/state/core_driver.h"

#include <algorithm>

#include "coordinator/state/invariants.h"
#include "coordinator/state/records.h"
#include "fmt/format.h"
#include "gtest/gtest.h"

namespace tanren::coordinator {

CoreDriver::CoreDriver(CoreOptions given) : options(std::move(given)) {
  options.scheduler = [this](const Cluster&, const ScheduleOptions&, Now) {
    return std::exchange(plan_, Plan());
  };
  const Cluster empty;
  Cluster cluster;
  const HistoryEvent epoch = EpochEvent(cluster, 1, 1, now);
  std::vector<Record> made;
  EXPECT_TRUE(Apply(epoch, cluster, &made).ok());
  history.push_back(epoch);
  for (const Record& record : made) records[{record.kind, record.key}] = record.value;
  core.emplace(options, cluster, now);
}

CoreOptions CoreDriver::Options() {
  CoreOptions options;
  options.allow_commands = true;
  return options;
}

JobSpec CoreDriver::Spec(int ranks) {
  JobSpec spec;
  spec.set_name("tune");
  spec.mutable_command()->add_argv("/bin/true");
  spec.set_folder("/data");
  Role& role = *spec.add_roles();
  role.set_name("trainer");
  role.set_ranks(ranks);
  role.mutable_per_rank()->set_gpus(1);
  role.mutable_per_rank()->set_cpu_millis(1000);
  return spec;
}

const Outcome& CoreDriver::Step(const Input& input) {
  const Cluster before = check_all ? core->cluster() : Cluster();
  outcome = core->Step(input, now);
  for (const HistoryEvent& event : outcome.commit.events) history.push_back(event);
  for (const Record& record : outcome.commit.records) {
    if (record.erase) {
      records.erase({record.kind, record.key});
    } else {
      records[{record.kind, record.key}] = record.value;
    }
  }
  for (const auto& [node, told] : outcome.orders) orders[node] = told;
  EXPECT_NE(outcome.status.code(), absl::StatusCode::kInternal) << outcome.status;
  if (check_all) Check(before);
  return outcome;
}

void CoreDriver::Check(const Cluster& before) {
  const absl::Status is_well = CheckCluster(core->cluster());
  EXPECT_TRUE(is_well.ok()) << is_well;
  const absl::Status follows = CheckFollows(before, core->cluster());
  EXPECT_TRUE(follows.ok()) << follows;
  const auto restored = Restore(AsRecords(records));
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(Everything(*restored), Everything(core->cluster())) << "records don't tell all";
}

absl::Status CoreDriver::Submit(const JobSpec& spec, const std::string& request,
                                const std::string& user) {
  SubmitInput input;
  input.user = user;
  input.request_id = request.empty() ? fmt::format("r{}", ++requests_) : request;
  input.spec = spec;
  return Step(input).status;
}

uint64_t CoreDriver::SubmitOne(const JobSpec& spec) {
  const absl::Status status = Submit(spec);
  EXPECT_TRUE(status.ok()) << status;
  return outcome.jobs.empty() ? 0 : outcome.jobs[0];
}

absl::Status CoreDriver::Change(ChangeJobInput::Kind kind, uint64_t job, const std::string& user,
                                bool admin, const std::string& request) {
  ChangeJobInput input;
  input.kind = kind;
  input.user = user;
  input.admin = admin;
  input.request_id = request.empty() ? fmt::format("r{}", ++requests_) : request;
  input.job = job;
  return Step(input).status;
}

void CoreDriver::Cancel(uint64_t job) {
  const absl::Status status = Change(ChangeJobInput::Kind::kCancel, job);
  EXPECT_TRUE(status.ok()) << status;
}

void CoreDriver::AddNode(const std::string& name, bool report) {
  JoinInput join;
  join.node.set_name(name);
  join.node.set_address(name + ".example");
  join.node.set_cpu_millis(16'000);
  join.node.set_memory_bytes(int64_t{64} << 30);
  for (int i = 0; i < 4; ++i) join.node.add_gpus()->set_index(i);
  Step(join);
  if (report) Report(name);
}

void CoreDriver::TryToPlace(uint64_t id, const std::vector<std::string>& nodes) {
  PlannedStart start;
  start.job = id;
  int32_t rank = 0;
  for (const std::string& name : nodes) {
    const auto load = core->cluster().loads.find(name);
    int gpu = 0;
    while (load != core->cluster().loads.end() && gpu + 1 < int(load->second.gpu_taken.size()) &&
           load->second.gpu_taken[gpu]) {
      ++gpu;
    }
    Placement placement;
    placement.set_node(name);
    placement.set_role("trainer");
    placement.set_first_rank(rank++);
    placement.set_ranks(1);
    placement.add_gpus(gpu);
    placement.mutable_total()->set_gpus(1);
    placement.mutable_total()->set_cpu_millis(1000);
    start.placements.push_back(placement);
  }
  plan_ = Plan();
  plan_.starts.push_back(start);
  std::vector<std::string> up;
  for (const auto& [name, node] : core->cluster().nodes) {
    if (orders.contains(name) && node.state() == Node::UP) up.push_back(name);
  }
  Wait(options.schedule_at_least_every_ms, up);
}

void CoreDriver::Place(uint64_t id, const std::vector<std::string>& nodes) {
  TryToPlace(id, nodes);
  ASSERT_EQ(state(id), PLACED);
}

void CoreDriver::Preempt(uint64_t victim, uint64_t beneficiary) {
  plan_ = Plan();
  plan_.preemptions.push_back({victim, beneficiary});
  std::vector<std::string> up;
  for (const auto& [name, node] : core->cluster().nodes) up.push_back(name);
  Wait(options.schedule_at_least_every_ms, up);
}

void CoreDriver::Wait(int64_t ms, const std::vector<std::string>& reporting) {
  const int64_t end = now.steady_ms + ms;
  int64_t report_at = now.steady_ms + 2'000;
  while (now.steady_ms < end) {
    const int64_t next = std::max(std::min({end, report_at, core->NextTick()}), now.steady_ms + 1);
    now.wall_ms += next - now.steady_ms;
    now.steady_ms = next;
    if (next >= report_at) {
      for (const std::string& name : reporting) Report(name);
      report_at += 2'000;
    }
    if (core->NextTick() <= now.steady_ms) Step(TickInput{});
  }
}

void CoreDriver::HoldStranger(const std::string& node, uint64_t job, uint32_t attempt,
                              PartState state) {
  PartReport stranger;
  stranger.mutable_token()->set_epoch(1);
  stranger.mutable_token()->set_job(job);
  stranger.mutable_token()->set_attempt(attempt);
  stranger.set_state(state);
  holds[node][TokenText(stranger.token())] = stranger;
}

void CoreDriver::Report(const std::string& node) {
  ReportInput input;
  input.node = node;
  input.report.set_sequence(++report_numbers_[node]);
  if (orders.contains(node)) input.report.set_orders(orders[node].sequence());
  for (const auto& [token, part] : holds[node]) *input.report.add_parts() = part;
  Step(input);
  // As agents do: what has ended is listed until orders don't name it.
  if (!outcome.orders.contains(node)) return;
  std::map<std::string, PartReport> left;
  for (const PartOrder& order : outcome.orders[node].parts()) {
    const auto held = holds[node].find(TokenText(order.token()));
    if (held != holds[node].end()) left.insert(*held);
  }
  for (const auto& [token, part] : holds[node]) {
    if (part.state() != PART_ENDED) left.insert({token, part});
  }
  holds[node] = std::move(left);
}

void CoreDriver::Restart() {
  auto cluster = Restore(AsRecords(records));
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  core.emplace(options, *std::move(cluster), now);
  orders.clear();
  for (const auto& [name, node] : core->cluster().nodes) {
    JoinInput join;
    join.node = node;
    if (holds.contains(name)) Step(join);
  }
}

void CoreDriver::RestoreFrom(
    const std::map<std::pair<RecordKind, std::string>, std::string>& copy) {
  records = copy;
  auto cluster = Restore(AsRecords(records));
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  std::vector<Record> made;
  const HistoryEvent event = EpochEvent(*cluster, cluster->epoch + 1, 0, now);
  ASSERT_TRUE(Apply(event, *cluster, &made).ok());
  for (const Record& record : made) records[{record.kind, record.key}] = record.value;
  core.emplace(options, *cluster, now);
  orders.clear();
}

PartReport& CoreDriver::Part(uint64_t id, const std::string& node) {
  PartReport& part = holds[node][TokenText(token(id))];
  *part.mutable_token() = token(id);
  return part;
}

void CoreDriver::Say(uint64_t id, const std::string& node, PartState state) {
  Part(id, node).set_state(state);
  Report(node);
}

void CoreDriver::SayEnded(uint64_t id, const std::string& node, AttemptEnd::Kind kind) {
  PartReport& part = Part(id, node);
  part.set_state(PART_ENDED);
  part.mutable_end()->set_kind(kind);
  Report(node);
}

void CoreDriver::Run(uint64_t id, const std::vector<std::string>& nodes) {
  Place(id, nodes);
  for (const std::string& name : nodes) Say(id, name, PART_RUNNING);
  ASSERT_EQ(state(id), RUNNING);
}

std::optional<PartOrder> CoreDriver::Order(uint64_t id, const std::string& node) const {
  const auto told = orders.find(node);
  if (told == orders.end()) return std::nullopt;
  for (const PartOrder& order : told->second.parts()) {
    if (order.token().job() == id) return order;
  }
  return std::nullopt;
}

std::vector<HistoryEvent::KindCase> CoreDriver::Kinds() const {
  std::vector<HistoryEvent::KindCase> kinds;
  for (const HistoryEvent& event : outcome.commit.events) kinds.push_back(event.kind_case());
  return kinds;
}

std::string Everything(const Cluster& cluster) {
  std::string text;
  for (const Record& record : Records(cluster)) {
    text += fmt::format("{} {} {} {}\n", static_cast<int>(record.kind), record.key,
                        record.value.size(), record.value);
  }
  return text;
}

std::vector<Record> AsRecords(
    const std::map<std::pair<RecordKind, std::string>, std::string>& records) {
  std::vector<Record> list;
  for (const auto& [name, value] : records) list.push_back({name.first, name.second, value});
  return list;
}

}  // namespace tanren::coordinator
