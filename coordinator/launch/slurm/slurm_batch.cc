#include "coordinator/launch/slurm/slurm_batch.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
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
#include "coordinator/launch/part_folder.h"
#include "coordinator/launch/slurm/slurm_allocation.h"
#include "coordinator/launch/slurm/slurm_end.h"
#include "coordinator/launch/slurm/slurm_environment.h"
#include "coordinator/launch/slurm/slurm_folder.h"
#include "coordinator/launch/slurm/slurm_process.h"
#include "coordinator/launch/slurm/slurm_rank.h"
#include "coordinator/launch/slurm/slurm_request.h"
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
constexpr int64_t kTermToKillMs = 3'000;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void Say(const std::string& text) {
  std::fprintf(stderr, "tanren-agent slurm-batch: %s\n", text.c_str());
}

// The ranks of one role: mpirun, or the one rank itself.
struct Group {
  std::string role;
  pid_t process = -1;
  bool ended = false;
  int code = 0;
};

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
  // False once this attempt isn't wanted any more.
  bool AwaitOthers();
  bool IsOver(const SlurmFolder& other, SlurmPulse& pulse);
  absl::Status WriteInputs();
  absl::Status StartGroups();
  absl::StatusOr<ChildProgram> Program(const Role& role, int32_t first_task) const;
  // Until all groups and their orphans have ended.
  void Watch();
  void TakeSignal(int64_t now_ms);
  void TakeOutlook(int64_t now_ms);
  void Reap();
  void AskToSave();
  void End();
  void KillOverdue(int64_t now_ms);
  bool AllEnded() const;
  SlurmRunFound Found() const;
  void AddLogTail(AttemptEnd& end) const;
  int Finish(AttemptEnd end);

  const SlurmFolder folder_;
  const SlurmTask task_;
  sigset_t signals_;
  std::unique_ptr<SlurmWatch> watch_;
  SlurmExit exit_;
  std::vector<Group> groups_;
  SlurmOutlook outlook_;
  bool save_asked_ = false;
  bool end_asked_ = false;
  bool ended_by_slurm_ = false;
  int64_t end_at_ms_ = 0;   // when a save has taken too long; 0: no limit
  int64_t kill_at_ms_ = 0;  // when ending has; 0: not asked
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
  // Orphans of the ranks come here, and are ended with them.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  watch_ = std::make_unique<SlurmWatch>(folder_, task_);
  exit_.set_started_ms(WallMs());
  if (!AwaitOthers()) return Finish(EndOfSlurmRun(Found()));
  absl::Status started = WriteInputs();
  if (started.ok()) started = StartGroups();
  if (!started.ok()) {
    Say(std::string(started.message()));
    End();
  }
  Watch();
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
    TakeSignal(now_ms);
    TakeOutlook(now_ms);
    if (save_asked_ || end_asked_) return false;
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

absl::StatusOr<ChildProgram> SlurmBatch::Program(const Role& role, int32_t first_task) const {
  const JobSpec& spec = task_.part().spec();
  ChildProgram program;
  program.folder = folder_.job_folder();
  const std::vector<std::string> rank = {task_.program(), "slurm-rank", folder_.path().string(),
                                         role.name()};
  Environment environment = CurrentEnvironment();
  if (TotalRanks(spec) == 1) {
    program.argv = rank;
    // This process may itself have been started below an MPI program.
    for (auto entry = environment.begin(); entry != environment.end();) {
      const bool mpi = entry->first.rfind("OMPI_", 0) == 0 || entry->first.rfind("PMI", 0) == 0;
      entry = mpi ? environment.erase(entry) : std::next(entry);
    }
    program.environment = EnvironmentStrings(environment);
    return program;
  }
  program.argv = {"mpirun", "-n", std::to_string(role.ranks()), "--bind-to", "none"};
  if (geteuid() == 0) program.argv.push_back("--allow-run-as-root");
  if (spec.roles_size() > 1) {
    TANREN_ASSIGN_OR_RETURN(
        const auto allocation,
        ParseAllocation(Variable("SLURM_JOB_NODELIST"), Variable("SLURM_TASKS_PER_NODE")));
    TANREN_ASSIGN_OR_RETURN(const std::string hosts, HostsOf(allocation, first_task, role.ranks()));
    program.argv.insert(program.argv.end(), {"--host", hosts});
  }
  program.argv.insert(program.argv.end(), task_.mpi_arguments().begin(),
                      task_.mpi_arguments().end());
  program.argv.insert(program.argv.end(), rank.begin(), rank.end());
  program.environment = EnvironmentStrings(SlurmMpirunEnvironment(task_, environment));
  return program;
}

absl::Status SlurmBatch::StartGroups() {
  int32_t first_task = 0;
  for (const Role& role : task_.part().spec().roles()) {
    TANREN_ASSIGN_OR_RETURN(const ChildProgram program, Program(role, first_task));
    TANREN_ASSIGN_OR_RETURN(const pid_t process, StartChild(program));
    groups_.push_back({role.name(), process});
    first_task += role.ranks();
  }
  return absl::OkStatus();
}

void SlurmBatch::Watch() {
  for (;;) {
    Reap();
    if (AllEnded() && ChildrenOfThisProcess().empty()) return;
    const int64_t now_ms = SteadyMs();
    TakeSignal(now_ms);
    TakeOutlook(now_ms);
    // One role's failure ends the others; and what the ranks left behind ends with them.
    const bool failed = std::any_of(groups_.begin(), groups_.end(), [](const Group& group) {
      return group.ended && group.code != 0;
    });
    if ((failed || AllEnded()) && !end_asked_) End();
    if (end_at_ms_ != 0 && now_ms > end_at_ms_ && !end_asked_) End();
    KillOverdue(now_ms);
  }
}

void SlurmBatch::TakeSignal(int64_t now_ms) {
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
    if (!end_asked_) Say(outlook_.folder_lost ? "the folder is lost" : "superseded");
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

void SlurmBatch::Reap() {
  int status = 0;
  for (pid_t ended = waitpid(-1, &status, WNOHANG); ended > 0;
       ended = waitpid(-1, &status, WNOHANG)) {
    for (Group& group : groups_) {
      if (group.process != ended) continue;
      group.ended = true;
      group.code = ShellCode(status);
      Say(fmt::format("{} ended with {}", group.role, group.code));
    }
  }
}

// mpirun passes SIGUSR1 on to its ranks at once; SIGTERM makes it kill them.
void SlurmBatch::AskToSave() {
  if (save_asked_) return;
  save_asked_ = true;
  for (const Group& group : groups_) {
    if (!group.ended) kill(group.process, SIGUSR1);
  }
}

void SlurmBatch::End() {
  if (end_asked_) return;
  end_asked_ = true;
  kill_at_ms_ = SteadyMs() + kTermToKillMs;
  for (pid_t child : ChildrenOfThisProcess()) kill(child, SIGTERM);
}

void SlurmBatch::KillOverdue(int64_t now_ms) {
  if (kill_at_ms_ == 0 || now_ms < kill_at_ms_) return;
  for (pid_t child : ChildrenOfThisProcess()) kill(child, SIGKILL);
}

bool SlurmBatch::AllEnded() const {
  return std::all_of(groups_.begin(), groups_.end(),
                     [](const Group& group) { return group.ended; });
}

SlurmRunFound SlurmBatch::Found() const {
  SlurmRunFound found;
  found.recipe = task_.part().spec().has_recipe();
  for (const Group& group : groups_) {
    if (found.exit_code == 0) found.exit_code = group.code;
  }
  // Nothing was started: it can't have finished.
  if (groups_.empty()) found.exit_code = kCantRun;
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
  const auto text = ReadFile(log);
  if (!text.ok()) return;
  end.set_log_tail(text->size() > kLongestLogTail ? text->substr(text->size() - kLongestLogTail)
                                                  : *text);
}

int SlurmBatch::Finish(AttemptEnd end) {
  AddLogTail(end);
  const int code = end.kind() == AttemptEnd::FINISHED ? 0 : std::max(1, end.exit_code());
  *exit_.mutable_end() = std::move(end);
  exit_.set_ended_ms(WallMs());
  exit_.set_ended_by_slurm(ended_by_slurm_);
  const absl::Status written = folder_.WriteExit(exit_);
  if (!written.ok()) Say(std::string(written.message()));
  // The folder may not answer: its watcher then doesn't end.
  if (outlook_.folder_lost) std::_Exit(code);
  watch_.reset();
  return code;
}

// Everything that is written from now on goes into the attempt's own log.
void WriteTo(const fs::path& log) {
  const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return;
  dup2(file, 1);
  dup2(file, 2);
  close(file);
}

}  // namespace

int RunSlurmBatch(const fs::path& path) {
  const SlurmFolder folder(path);
  auto task = folder.ReadTask();
  if (!task.ok()) {
    Say(std::string(task.status().message()));
    return kCantRun;
  }
  WriteTo(folder.batch_log());
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
