#include "coordinator/launch/slurm/slurm_launcher.h"

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_split.h"
#include "coordinator/launch/log_spool.h"
#include "coordinator/launch/slurm/slurm_attempt.h"
#include "coordinator/launch/slurm/slurm_client.h"
#include "coordinator/launch/slurm/slurm_environment.h"
#include "coordinator/launch/slurm/slurm_folder.h"
#include "coordinator/launch/slurm/slurm_records.h"
#include "coordinator/state/cluster.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

// Names in one squeue command.
constexpr size_t kNamesAtOnce = 200;
absl::StatusOr<fs::path> OwnProgram() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return absl::InternalError("/proc/self/exe: " + error.message());
  return program;
}

absl::StatusOr<fs::path> FindWorker(const fs::path& program) {
  const fs::path beside = program.parent_path() / "tanren-worker";
  if (access(beside.c_str(), X_OK) == 0) return beside;
  const char* path = std::getenv("PATH");
  for (const absl::string_view folder : absl::StrSplit(path == nullptr ? "" : path, ':')) {
    const fs::path candidate = fs::path(std::string(folder)) / "tanren-worker";
    if (!folder.empty() && access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return absl::NotFoundError("tanren-worker is neither beside the agent's program nor in PATH");
}

}  // namespace

class SlurmLauncher::Implementation {
 public:
  Implementation(SlurmLauncherOptions options, SlurmClient client, SlurmRecords records)
      : options_(std::move(options)), client_(std::move(client)), records_(std::move(records)) {}

  ~Implementation() {
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Restore();
  void Begin() {
    thread_ = std::thread([this] { Run(); });
  }

  void Start(const PartSpec& part);
  void Stop(const AttemptToken& token, StopReason reason, int64_t grace_ms);
  void Forget(const AttemptToken& token);
  std::vector<PartReport> Parts();
  absl::StatusOr<LogChunk> ReadLog(const ReadLogChunk& request);
  void OnChange(std::function<void()> changed) {
    std::lock_guard lock(mutex_);
    changed_ = std::move(changed);
  }

 private:
  // Of a part that is here or was; whether it has ended. kNotFound.
  absl::StatusOr<PartSpec> SpecOf(const AttemptToken& token, bool& ended);
  void Run();
  void Round();
  void TakeRequests();
  std::optional<std::vector<SlurmJob>> AskSlurm();
  void Publish(const SlurmAttempt& attempt, const SlurmPart& before);
  SlurmAttempt MakeAttempt(SlurmPart record);

  const SlurmLauncherOptions options_;
  const SlurmClient client_;
  const SlurmRecords records_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  bool has_requests_ = false;
  std::map<AttemptToken, PartReport> reports_;
  std::map<AttemptToken, PartSpec> specs_;  // where logs are
  std::vector<PartSpec> starts_;
  std::vector<std::pair<AttemptToken, SlurmStop>> stops_;
  std::vector<AttemptToken> forgets_;
  std::function<void()> changed_;

  // The thread's own.
  std::map<AttemptToken, SlurmAttempt> attempts_;
  std::set<AttemptToken> unsaved_;  // their record couldn't be written: the next round tries again
  bool slurm_answered_ = true;
  std::thread thread_;
};

SlurmAttempt SlurmLauncher::Implementation::MakeAttempt(SlurmPart record) {
  return SlurmAttempt(std::move(record), options_, client_,
                      [this](const SlurmPart& part) { return records_.Save(part); });
}

absl::Status SlurmLauncher::Implementation::Restore() {
  TANREN_ASSIGN_OR_RETURN(std::vector<SlurmPart> records, records_.Load());
  for (SlurmPart& record : records) {
    const AttemptToken token = record.report().token();
    reports_[token] = record.report();
    if (record.has_spec()) specs_[token] = record.spec();
    attempts_.emplace(token, MakeAttempt(std::move(record)));
  }
  return absl::OkStatus();
}

void SlurmLauncher::Implementation::Start(const PartSpec& part) {
  {
    std::lock_guard lock(mutex_);
    if (reports_.contains(part.token())) return;
    PartReport& report = reports_[part.token()];
    *report.mutable_token() = part.token();
    report.set_state(PART_STARTING);
    specs_[part.token()] = part;
    starts_.push_back(part);
    has_requests_ = true;
  }
  wake_.notify_all();
}

void SlurmLauncher::Implementation::Stop(const AttemptToken& token, StopReason reason,
                                         int64_t grace_ms) {
  SlurmStop stop;
  stop.set_reason(reason);
  stop.set_grace_ms(grace_ms);
  {
    std::lock_guard lock(mutex_);
    PartReport& report = reports_[token];
    if (!report.has_token()) {
      *report.mutable_token() = token;
      report.set_state(PART_ENDED);
      report.mutable_end()->set_kind(AttemptEnd::NEVER_STARTED);
      report.mutable_end()->set_rank(-1);
      report.mutable_end()->set_message("ended before it began");
    }
    stops_.emplace_back(token, stop);
    has_requests_ = true;
  }
  wake_.notify_all();
}

void SlurmLauncher::Implementation::Forget(const AttemptToken& token) {
  {
    std::lock_guard lock(mutex_);
    const auto report = reports_.find(token);
    if (report == reports_.end() || report->second.state() != PART_ENDED) return;
    reports_.erase(report);
    forgets_.push_back(token);
    has_requests_ = true;
  }
  wake_.notify_all();
}

std::vector<PartReport> SlurmLauncher::Implementation::Parts() {
  std::lock_guard lock(mutex_);
  std::vector<PartReport> parts;
  for (const auto& [token, report] : reports_) parts.push_back(report);
  return parts;
}

absl::StatusOr<PartSpec> SlurmLauncher::Implementation::SpecOf(const AttemptToken& token,
                                                               bool& ended) {
  {
    std::lock_guard lock(mutex_);
    const auto report = reports_.find(token);
    ended = report == reports_.end() || report->second.state() == PART_ENDED;
    const auto found = specs_.find(token);
    if (found != specs_.end()) return found->second;
  }
  return records_.ForgottenSpec(token);
}

absl::StatusOr<LogChunk> SlurmLauncher::Implementation::ReadLog(const ReadLogChunk& request) {
  bool ended = true;
  TANREN_ASSIGN_OR_RETURN(const PartSpec spec, SpecOf(request.token(), ended));
  TANREN_ASSIGN_OR_RETURN(const UserIds user, SlurmUserOf(spec, options_));
  const auto files = FileUserOf(user);
  const SlurmFolder folder = SlurmFolder::Of(spec, files);
  const ActingAs acting(files);
  if (request.rank() < 0) return ReadSpool(folder.batch_log(), request, ended);
  std::string role = request.role();
  if (role.empty() && spec.spec().roles_size() > 0) role = spec.spec().roles(0).name();
  if (role.empty() || role.find('/') != std::string::npos) {
    return absl::InvalidArgumentError("role: expected the name of one");
  }
  return ReadSpool(folder.log(role, request.rank()), request, ended);
}

void SlurmLauncher::Implementation::Run() {
  for (;;) {
    Round();
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::milliseconds(options_.poll_ms),
                   [this] { return ending_ || has_requests_; });
    if (ending_) break;
    has_requests_ = false;
  }
  TakeRequests();  // what was asked for is remembered
}

void SlurmLauncher::Implementation::Round() {
  TakeRequests();
  const auto jobs = AskSlurm();
  for (auto& [token, attempt] : attempts_) {
    {
      std::lock_guard lock(mutex_);
      if (ending_) return;
    }
    if (attempt.has_ended() && !unsaved_.contains(token)) continue;
    std::optional<std::vector<SlurmJob>> own;
    if (jobs.has_value()) {
      own.emplace();
      for (const SlurmJob& job : *jobs) {
        if (job.name == attempt.name()) own->push_back(job);
      }
    }
    const SlurmPart before = attempt.record();
    attempt.Advance(own, SteadyMs());
    Publish(attempt, before);
  }
}

void SlurmLauncher::Implementation::TakeRequests() {
  std::vector<PartSpec> starts;
  std::vector<std::pair<AttemptToken, SlurmStop>> stops;
  std::vector<AttemptToken> forgets;
  {
    std::lock_guard lock(mutex_);
    starts.swap(starts_);
    stops.swap(stops_);
    forgets.swap(forgets_);
  }
  for (PartSpec& spec : starts) {
    SlurmPart record;
    *record.mutable_report()->mutable_token() = spec.token();
    record.mutable_report()->set_state(PART_STARTING);
    const AttemptToken token = spec.token();
    *record.mutable_spec() = std::move(spec);
    [[maybe_unused]] const absl::Status saved = records_.Save(record);
    attempts_.emplace(token, MakeAttempt(std::move(record)));
  }
  for (const auto& [token, stop] : stops) {
    auto attempt = attempts_.find(token);
    if (attempt == attempts_.end()) {  // it never was here
      SlurmPart record;
      {
        std::lock_guard lock(mutex_);
        const auto report = reports_.find(token);
        if (report == reports_.end()) continue;
        *record.mutable_report() = report->second;
      }
      [[maybe_unused]] const absl::Status saved = records_.Save(record);
      attempts_.emplace(token, MakeAttempt(std::move(record)));
      continue;
    }
    attempt->second.AskToStop(stop);
    [[maybe_unused]] const absl::Status saved = records_.Save(attempt->second.record());
  }
  for (const AttemptToken& token : forgets) {
    attempts_.erase(token);
    records_.Forget(token);
    std::lock_guard lock(mutex_);
    specs_.erase(token);
  }
}

// All jobs that may be ours; nothing if Slurm couldn't be asked.
std::optional<std::vector<SlurmJob>> SlurmLauncher::Implementation::AskSlurm() {
  std::vector<std::string> names;
  for (const auto& [token, attempt] : attempts_) {
    if (!attempt.has_ended() && attempt.record().submit_begun()) names.push_back(attempt.name());
  }
  std::vector<SlurmJob> jobs;
  for (size_t begin = 0; begin < names.size(); begin += kNamesAtOnce) {
    const size_t end = std::min(names.size(), begin + kNamesAtOnce);
    const auto found = client_.Find({names.begin() + begin, names.begin() + end});
    if (found.ok() != slurm_answered_) {
      slurm_answered_ = found.ok();
      if (found.ok()) LogInfo("Slurm answers again");
      if (!found.ok()) {
        LogWarning("{}; jobs count as they were", std::string(found.status().message()));
      }
    }
    if (!found.ok()) return std::nullopt;
    jobs.insert(jobs.end(), found->begin(), found->end());
  }
  return jobs;
}

void SlurmLauncher::Implementation::Publish(const SlurmAttempt& attempt, const SlurmPart& before) {
  const SlurmPart& record = attempt.record();
  const AttemptToken& token = record.report().token();
  const bool unsaved = unsaved_.erase(token) > 0;
  if (!unsaved && record.SerializeAsString() == before.SerializeAsString()) return;
  // Progress is read again from the run's events; the rest has to outlive this process.
  SlurmPart durable = record, durable_before = before;
  durable.mutable_report()->clear_progress();
  durable_before.mutable_report()->clear_progress();
  if ((unsaved || durable.SerializeAsString() != durable_before.SerializeAsString()) &&
      !records_.Save(record).ok()) {
    unsaved_.insert(token);
    if (attempt.has_ended()) return;  // said only once it can't be unsaid
  }
  std::function<void()> changed;
  {
    std::lock_guard lock(mutex_);
    reports_[token] = record.report();
    changed = changed_;
  }
  if (changed) changed();
}

absl::StatusOr<std::unique_ptr<SlurmLauncher>> SlurmLauncher::Open(SlurmLauncherOptions options) {
  TANREN_ASSIGN_OR_RETURN(SlurmRecords records, SlurmRecords::Open(options.state));
  SlurmClientOptions commands;
  commands.folder = options.commands;
  commands.timeout_ms = options.command_timeout_ms;
  TANREN_ASSIGN_OR_RETURN(SlurmClient client, SlurmClient::Open(std::move(commands)));
  if (options.program.empty()) {
    TANREN_ASSIGN_OR_RETURN(options.program, OwnProgram());
  }
  if (options.worker.empty()) {
    TANREN_ASSIGN_OR_RETURN(options.worker, FindWorker(options.program));
  }
  options.request.may_go_below_0 = options.request.may_go_below_0 || geteuid() == 0;
  for (const auto& [name, value] : CurrentEnvironment()) {
    if (IsMpiSetting(name)) options.mpi_environment.emplace(name, value);
  }
  auto implementation =
      std::make_unique<Implementation>(std::move(options), std::move(client), std::move(records));
  TANREN_RETURN_IF_ERROR(implementation->Restore());
  implementation->Begin();
  return std::unique_ptr<SlurmLauncher>(new SlurmLauncher(std::move(implementation)));
}

SlurmLauncher::SlurmLauncher(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
SlurmLauncher::~SlurmLauncher() = default;

void SlurmLauncher::Start(const PartSpec& part) { implementation_->Start(part); }
void SlurmLauncher::Stop(const AttemptToken& token, StopReason reason, int64_t grace_ms) {
  implementation_->Stop(token, reason, grace_ms);
}
void SlurmLauncher::Forget(const AttemptToken& token) { implementation_->Forget(token); }
std::vector<PartReport> SlurmLauncher::Parts() { return implementation_->Parts(); }
void SlurmLauncher::SetDeadline(int64_t) {}
absl::StatusOr<LogChunk> SlurmLauncher::ReadLog(const ReadLogChunk& request) {
  return implementation_->ReadLog(request);
}
absl::Status SlurmLauncher::StartRemote(const RemoteStart&, std::function<void(const RemoteEnd&)>) {
  return absl::FailedPreconditionError(
      "jobs of this node run in Slurm, where mpirun starts its daemons itself");
}
void SlurmLauncher::OnChange(std::function<void()> changed) {
  implementation_->OnChange(std::move(changed));
}

}  // namespace tanren::coordinator
