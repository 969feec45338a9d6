#include "coordinator/launch/slurm/slurm_groups.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "coordinator/launch/process_table.h"
#include "coordinator/launch/slurm/slurm_allocation.h"
#include "coordinator/launch/slurm/slurm_environment.h"
#include "coordinator/launch/slurm/slurm_process.h"
#include "coordinator/launch/slurm/slurm_request.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kTermToKillMs = 3'000;
// For what a keeper does once the process before it is killed.
constexpr int64_t kKeepersMs = 2'000;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// One rank needs no mpirun.
ChildProgram RankAlone(std::vector<std::string> rank) {
  ChildProgram program;
  program.argv = std::move(rank);
  Environment environment = CurrentEnvironment();
  // This process may itself have been started below an MPI program.
  for (auto entry = environment.begin(); entry != environment.end();) {
    const bool mpi = entry->first.rfind("OMPI_", 0) == 0 || entry->first.rfind("PMI", 0) == 0;
    entry = mpi ? environment.erase(entry) : std::next(entry);
  }
  program.environment = EnvironmentStrings(environment);
  return program;
}

absl::StatusOr<ChildProgram> ProgramOf(const SlurmFolder& folder, const SlurmTask& task,
                                       const Role& role, int32_t first_task) {
  const JobSpec& spec = task.part().spec();
  const std::vector<std::string> rank = {task.program(), "slurm-rank", folder.path().string(),
                                         role.name()};
  ChildProgram program;
  if (TotalRanks(spec) == 1) {
    program = RankAlone(rank);
    program.folder = folder.job_folder();
    return program;
  }
  program.folder = folder.job_folder();
  program.argv = {"mpirun", "-n", std::to_string(role.ranks()), "--bind-to", "none"};
  if (geteuid() == 0) program.argv.push_back("--allow-run-as-root");
  if (spec.roles_size() > 1) {
    TANREN_ASSIGN_OR_RETURN(
        const auto allocation,
        ParseAllocation(Variable("SLURM_JOB_NODELIST"), Variable("SLURM_TASKS_PER_NODE")));
    TANREN_ASSIGN_OR_RETURN(const std::string hosts, HostsOf(allocation, first_task, role.ranks()));
    program.argv.insert(program.argv.end(), {"--host", hosts});
  }
  program.argv.insert(program.argv.end(), task.mpi_arguments().begin(), task.mpi_arguments().end());
  program.argv.insert(program.argv.end(), rank.begin(), rank.end());
  program.environment = EnvironmentStrings(SlurmMpirunEnvironment(task, CurrentEnvironment()));
  return program;
}

}  // namespace

absl::Status SlurmGroups::Start(const SlurmFolder& folder, const SlurmTask& task, int output) {
  int32_t first_task = 0;
  for (const Role& role : task.part().spec().roles()) {
    TANREN_ASSIGN_OR_RETURN(ChildProgram program, ProgramOf(folder, task, role, first_task));
    program.output = output;
    TANREN_ASSIGN_OR_RETURN(const pid_t process, StartChild(program));
    groups_.push_back({role.name(), process});
    first_task += role.ranks();
  }
  return absl::OkStatus();
}

void SlurmGroups::Reap() {
  int status = 0;
  for (pid_t ended = waitpid(-1, &status, WNOHANG); ended > 0;
       ended = waitpid(-1, &status, WNOHANG)) {
    for (Group& group : groups_) {
      if (group.process != ended) continue;
      group.ended = true;
      group.code = ShellCode(status);
      std::fprintf(stderr, "tanren-agent slurm-batch: %s ended with %d\n", group.role.c_str(),
                   group.code);
    }
  }
}

bool SlurmGroups::AllEnded() const {
  return std::all_of(groups_.begin(), groups_.end(),
                     [](const Group& group) { return group.ended; });
}

bool SlurmGroups::NothingLives() const { return AllEnded() && ChildrenOf(getpid()).empty(); }

int SlurmGroups::ExitCode() const {
  for (const Group& group : groups_) {
    if (group.code != 0) return group.code;
  }
  return 0;
}

// mpirun passes SIGUSR1 on to its ranks at once; SIGTERM makes it kill them.
void SlurmGroups::AskToSave() {
  if (save_asked_) return;
  save_asked_ = true;
  for (const Group& group : groups_) {
    if (!group.ended) kill(group.process, SIGUSR1);
  }
}

void SlurmGroups::End(int64_t now_ms) {
  if (end_asked()) return;
  kill_at_ms_ = now_ms + kTermToKillMs;
  for (pid_t child : ChildrenOf(getpid())) kill(child, SIGTERM);
}

void SlurmGroups::KillOverdue(int64_t now_ms) {
  if (kill_at_ms_ == 0 || now_ms < kill_at_ms_) return;
  for (const Group& group : groups_) {
    if (!group.ended) kill(group.process, SIGKILL);
  }
  if (now_ms < kill_at_ms_ + kKeepersMs) return;
  for (pid_t child : ChildrenOf(getpid())) kill(child, SIGKILL);
}

}  // namespace tanren::coordinator
