#include "coordinator/launch/slurm/slurm_batch.h"

#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "coordinator/launch/log_spool.h"
#include "coordinator/launch/part_folder.h"
#include "coordinator/launch/slurm/slurm_batch_log.h"
#include "coordinator/launch/slurm/slurm_end.h"
#include "coordinator/launch/slurm/slurm_environment.h"
#include "coordinator/launch/slurm/slurm_folder.h"
#include "coordinator/launch/slurm/slurm_groups.h"
#include "coordinator/launch/slurm/slurm_keeper.h"
#include "coordinator/launch/slurm/slurm_rank.h"
#include "coordinator/launch/slurm/slurm_watch.h"
#include "coordinator/state/attempt_end.h"
#include "coordinator/state/cluster.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/utf8.h"
#include "runtime/telemetry/event_log.h"
#include "runtime/telemetry/process_identity.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr int kCantRun = 70;
// Until a rank's record, once it is written, shows on this node.
constexpr int64_t kRecordMs = 3'000;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void Say(const std::string& text) {
  std::fprintf(stderr, "tanren-agent slurm-batch: %s\n", text.c_str());
}

class SlurmBatch {
 public:
  SlurmBatch(SlurmFolder folder, SlurmTask task)
      : folder_(std::move(folder)), task_(std::move(task)) {
    sigemptyset(&signals_);
    for (int signal : {SIGUSR1, SIGTERM, SIGINT, SIGCHLD}) sigaddset(&signals_, signal);
  }

  int Run();

 private:
  absl::StatusOr<bool> Claim();
  void OpenLog();
  // False once this attempt isn't wanted any more.
  bool AwaitOthers();
  bool IsOver(const SlurmFolder& other, SlurmPulse& pulse);
  absl::Status WriteInputs();
  // Until all groups and their orphans have ended.
  void Watch();
  // Until what ranks left behind has ended on other nodes too.
  void AwaitKeepers();
  void TakeSignal();
  void TakeOutlook(int64_t now_ms);
  void AskToSave();
  void End() { groups_.End(SteadyMs()); }
  SlurmRunFound Found() const;
  void AddLogTail(AttemptEnd& end) const;
  int Finish(AttemptEnd end);

  const SlurmFolder folder_;
  const SlurmTask task_;
  SlurmBatchLog log_;
  sigset_t signals_;
  std::unique_ptr<SlurmWatch> watch_;
  SlurmExit exit_;
  SlurmGroups groups_;
  SlurmOutlook outlook_;
  bool save_asked_ = false;
  bool ended_by_slurm_ = false;
  int64_t end_at_ms_ = 0;  // when a save has taken too long; 0: no limit
};

int SlurmBatch::Run() {
  const auto claimed = Claim();
  if (!claimed.ok()) {
    Say(std::string(claimed.status().message()));
    return kCantRun;
  }
  if (!*claimed) {
    Say("the attempt was claimed before; nothing is run");
    return 0;
  }
  sigprocmask(SIG_BLOCK, &signals_, nullptr);
  OpenLog();
  // Orphans of the ranks come here, and are ended with them.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  watch_ = std::make_unique<SlurmWatch>(folder_, task_);
  exit_.set_started_ms(WallMs());
  if (!AwaitOthers()) return Finish(EndOfSlurmRun(Found()));
  absl::Status started = WriteInputs();
  if (started.ok()) started = groups_.Start(folder_, task_, log_.output());
  if (!started.ok()) {
    Say(std::string(started.message()));
    End();
  }
  Watch();
  AwaitKeepers();
  AttemptEnd end = EndOfSlurmRun(Found());
  if (!started.ok()) {
    end.set_kind(AttemptEnd::INFRASTRUCTURE);
    end.set_message(std::string(started.message()));
    end.set_exit_code(kCantRun);
  }
  return Finish(std::move(end));
}

absl::StatusOr<bool> SlurmBatch::Claim() {
  int restarts = 0;
  [[maybe_unused]] const bool has = absl::SimpleAtoi(Variable("SLURM_RESTART_COUNT"), &restarts);
  SlurmClaim claim;
  claim.set_slurm_job(Variable("SLURM_JOB_ID"));
  claim.set_restart_count(restarts);
  claim.set_host(telemetry::HostName());
  claim.set_claimed_ms(WallMs());
  if (claim.slurm_job().empty()) {
    return absl::FailedPreconditionError("this runs inside a Slurm job: SLURM_JOB_ID isn't set");
  }
  exit_.set_slurm_job(claim.slurm_job());
  exit_.set_restart_count(restarts);
  exit_.set_nodes(Variable("SLURM_JOB_NODELIST"));
  return folder_.Claim(claim);
}

// Only who runs the attempt keeps its log.
void SlurmBatch::OpenLog() {
  const int64_t limit =
      task_.log_limit_bytes() > 0 ? task_.log_limit_bytes() : kDefaultLogLimitBytes;
  const absl::Status opened = log_.Open(folder_.batch_log(), limit);
  if (!opened.ok()) Say(std::string(opened.message()));
}

// Slurm starts attempts of a job one after another ("singleton"), but it takes a node that it can't
// reach for ended, while what runs there lives on; and another cluster may have had the attempt.
bool SlurmBatch::AwaitOthers() {
  std::vector<std::pair<SlurmFolder, SlurmPulse>> others;
  for (const SlurmFolder& other : folder_.OtherClaimed()) {
    const auto exit = other.ReadExit();
    if (exit.ok() && exit->has_value()) continue;
    others.emplace_back(other, SlurmPulse(other, task_.lease_ms()));
    Say("waits for the end of " + other.path().filename().string());
  }
  while (!others.empty()) {
    const int64_t now_ms = SteadyMs();
    TakeSignal();
    TakeOutlook(now_ms);
    if (save_asked_ || groups_.end_asked()) return false;
    others.erase(std::remove_if(others.begin(), others.end(),
                                [&](auto& other) { return IsOver(other.first, other.second); }),
                 others.end());
  }
  return true;
}

bool SlurmBatch::IsOver(const SlurmFolder& other, SlurmPulse& pulse) {
  const auto exit = other.ReadExit();
  return (exit.ok() && exit->has_value()) || pulse.IsDead(SteadyMs());
}

absl::Status SlurmBatch::WriteInputs() {
  const PartSpec& part = task_.part();
  if (part.spec().has_recipe()) {
    TANREN_RETURN_IF_ERROR(WriteFileAtomically(RecipeFile(part), part.spec().recipe().recipe()));
  }
  const fs::path run = SlurmFolder::RunFolder(part);
  const fs::path latest = folder_.job_folder() / "latest";
  const fs::path next = latest.string() + ".tmp." + exit_.slurm_job();
  std::error_code error;
  fs::remove(next, error);
  fs::create_symlink(run.filename(), next, error);
  if (!error) fs::rename(next, latest, error);
  if (error) Say(fmt::format("{}: {}", latest.string(), error.message()));
  return absl::OkStatus();
}

void SlurmBatch::Watch() {
  for (;;) {
    groups_.Reap();
    if (groups_.NothingLives()) return;
    const int64_t now_ms = SteadyMs();
    TakeSignal();
    TakeOutlook(now_ms);
    // One role's failure ends the others; and what the ranks left behind ends with them.
    if (groups_.ExitCode() != 0 || groups_.AllEnded()) End();
    if (end_at_ms_ != 0 && now_ms > end_at_ms_) End();
    groups_.KillOverdue(now_ms);
  }
}

// mpirun has ended, and with it all that stood before the keepers of ranks; a node that has failed
// leaves no record.
void SlurmBatch::AwaitKeepers() {
  const int64_t give_up_ms = SteadyMs() + kOrphansMs + kRecordMs;
  while (!outlook_.folder_lost && !folder_.AllStartedEnded()) {
    if (SteadyMs() > give_up_ms) {
      Say("not all ranks have left a record of their end: what they started is left to Slurm");
      return;
    }
    TakeSignal();
    TakeOutlook(SteadyMs());
  }
}

void SlurmBatch::TakeSignal() {
  const timespec pause = {0, 100'000'000};
  const int signal = sigtimedwait(&signals_, nullptr, &pause);
  if (signal == SIGUSR1) {
    Say("SIGUSR1: the ranks save and exit");
    AskToSave();
  } else if (signal == SIGTERM || signal == SIGINT) {
    Say("SIGTERM: the ranks are ended");
    ended_by_slurm_ = true;
    End();
  }
}

void SlurmBatch::TakeOutlook(int64_t now_ms) {
  outlook_ = watch_->Look();
  if (!outlook_.superseded_by.empty() || outlook_.folder_lost) {
    if (!groups_.end_asked()) Say(outlook_.folder_lost ? "the folder is lost" : "superseded");
    End();
  } else if (outlook_.stop.has_value()) {
    const StopReason reason = outlook_.stop->reason();
    const bool saves = reason != CANCELLED_BY_USER && reason != FENCED && reason != HANG;
    if (!saves || outlook_.stop->grace_ms() <= 0) {
      End();
    } else {
      AskToSave();
      if (end_at_ms_ == 0) end_at_ms_ = now_ms + outlook_.stop->grace_ms();
    }
  }
}

void SlurmBatch::AskToSave() {
  save_asked_ = true;
  groups_.AskToSave();
}

SlurmRunFound SlurmBatch::Found() const {
  SlurmRunFound found;
  found.recipe = task_.part().spec().has_recipe();
  // Nothing was started: it can't have finished.
  found.exit_code = groups_.empty() ? kCantRun : groups_.ExitCode();
  found.ranks = folder_.RankExits();
  if (outlook_.stop.has_value()) found.stop = outlook_.stop->reason();
  found.ended_by_slurm = ended_by_slurm_ || (groups_.empty() && save_asked_);
  found.superseded_by = outlook_.superseded_by;
  found.folder_lost = outlook_.folder_lost;
  const auto events = ReadEvents(SlurmFolder::RunFolder(task_.part()) / "events.pb");
  if (events.ok()) {
    for (const Event& event : events->events) {
      if (event.has_run_ended()) {
        found.last_words = ValidUtf8(event.run_ended().message(), kLongestEndMessage);
      }
    }
  }
  return found;
}

void SlurmBatch::AddLogTail(AttemptEnd& end) const {
  if (end.kind() != AttemptEnd::USER_ERROR && end.kind() != AttemptEnd::INFRASTRUCTURE) return;
  const std::vector<SlurmRankExit> exits = folder_.RankExits();
  const SlurmRankExit* rank = FirstBadRank(exits);
  fs::path log = folder_.batch_log();
  if (rank != nullptr) log = folder_.log(rank->role(), rank->rank());
  end.set_log_tail(SpoolTail(log, kLongestLogTail));
}

int SlurmBatch::Finish(AttemptEnd end) {
  if (!outlook_.folder_lost) log_.Close();
  AddLogTail(end);
  const int code = end.kind() == AttemptEnd::FINISHED ? 0 : std::max(1, end.exit_code());
  *exit_.mutable_end() = std::move(end);
  exit_.set_ended_ms(WallMs());
  exit_.set_ended_by_slurm(ended_by_slurm_);
  // An error has nobody left to tell: without a record the agent waits until the heart stands
  // still.
  [[maybe_unused]] const absl::Status written = folder_.WriteExit(exit_);
  // The folder may not answer: its watcher and its log then don't end.
  if (outlook_.folder_lost) std::_Exit(code);
  watch_.reset();
  return code;
}

// Slurm loads the environment of the user's login, unless the user has none that can be loaded.
void CompleteEnvironment() {
  constexpr int kNotOver = 0;
  setenv("PATH", "/usr/local/bin:/usr/bin:/bin", kNotOver);
  const passwd* user = getpwuid(geteuid());
  if (user == nullptr) return;
  setenv("HOME", user->pw_dir, kNotOver);
  setenv("USER", user->pw_name, kNotOver);
  setenv("LOGNAME", user->pw_name, kNotOver);
}

}  // namespace

int RunSlurmBatch(const fs::path& path) {
  const SlurmFolder folder(path);
  auto task = folder.ReadTask();
  if (!task.ok()) {
    Say(std::string(task.status().message()));
    return kCantRun;
  }
  CompleteEnvironment();
  return SlurmBatch(folder, *std::move(task)).Run();
}

std::optional<int> RunSlurmCommand(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "slurm-batch") return RunSlurmBatch(argv[2]);
  if (argc == 4 && std::string_view(argv[1]) == "slurm-rank") {
    return RunSlurmRank(argv[2], argv[3]);
  }
  return std::nullopt;
}

}  // namespace tanren::coordinator
