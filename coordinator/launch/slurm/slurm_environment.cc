#include "coordinator/launch/slurm/slurm_environment.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "coordinator/launch/slurm/slurm_allocation.h"
#include "coordinator/launch/slurm/slurm_folder.h"
#include "coordinator/launch/slurm/slurm_request.h"
#include "coordinator/state/cluster.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

constexpr std::array<std::string_view, 7> kPersons = {
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "CUDA_VISIBLE_DEVICES"};

// srun, which mpirun starts its daemons with, reads these as options: one daemon a node needs all
// of the node's share, not one task's, and this environment, not a login's.
constexpr std::array<std::string_view, 9> kNotForSrun = {
    "SLURM_EXPORT_ENV",     "SLURM_GET_USER_ENV",  "SLURM_GPUS_PER_TASK",
    "SLURM_NTASKS_PER_GPU", "SLURM_TRES_PER_TASK", "SLURM_MEM_PER_CPU",
    "SLURM_MEM_PER_GPU",    "SLURM_CPUS_PER_TASK", "SLURM_GPU_BIND"};

constexpr std::array<std::string_view, 4> kForRanks = {"SLURM_JOB_ID", "SLURM_JOB_NODELIST",
                                                       "SLURMD_NODENAME", "SLURM_CONF"};

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

// Where mpirun tells a rank who it is and reaches it.
bool IsMpis(std::string_view name) {
  return StartsWith(name, "OMPI_") || StartsWith(name, "PMIX_") || StartsWith(name, "PRTE_") ||
         StartsWith(name, "PMI_");
}

// SLURM_TASKS_PER_NODE of the job: within srun's step that is another number.
constexpr char kTasksPerNode[] = "TANREN_SLURM_TASKS_PER_NODE";

template <typename Names>
bool Contains(const Names& names, std::string_view name) {
  for (std::string_view each : names) {
    if (each == name) return true;
  }
  return false;
}

std::string ValueOf(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

// Of the GPUs that the job has on this node, those of the role's tasks; all where there is one
// role.
std::string GpusOfRole(const JobSpec& spec, const std::string& role, const Environment& current,
                       const std::string& visible) {
  const int32_t per_task = GpusPerTask(spec);
  if (spec.roles_size() < 2 || per_task == 0) return visible;
  const auto allocation =
      ParseAllocation(ValueOf(current, "SLURM_JOB_NODELIST"), ValueOf(current, kTasksPerNode));
  if (!allocation.ok()) return visible;
  const std::string node = ValueOf(current, "SLURMD_NODENAME");
  int32_t first_task = 0, before = 0, own = 0, gpus = 0;
  for (const Role& each : spec.roles()) {
    const int32_t here = TasksOn(*allocation, node, first_task, each.ranks());
    if (each.name() == role) {
      own = here;
      gpus = each.per_rank().gpus();
      break;
    }
    before += here;
    first_task += each.ranks();
  }
  const std::vector<std::string> all = absl::StrSplit(visible, ',');
  std::vector<std::string> chosen;
  for (int32_t task = before; task < before + own; ++task) {
    for (int32_t i = 0; i < gpus; ++i) {
      const size_t index = static_cast<size_t>(task) * per_task + i;
      if (index < all.size()) chosen.push_back(all[index]);
    }
  }
  return absl::StrJoin(chosen, ",");
}

}  // namespace

Environment CurrentEnvironment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos) {
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return environment;
}

std::vector<std::string> EnvironmentStrings(const Environment& environment) {
  std::vector<std::string> strings;
  for (const auto& [name, value] : environment) strings.push_back(name + "=" + value);
  return strings;
}

namespace {

// srun, too, gives its daemons on each node all GPUs that the job has there; and to each role's
// mpirun at once, which takes the same number on all nodes.
void AddSharing(const JobSpec& spec, const Environment& batch, Environment& result) {
  const int32_t gpus = GpusPerTask(spec);
  const bool alone = spec.roles_size() < 2;
  if (!alone) result["SLURM_OVERLAP"] = "1";
  result[kTasksPerNode] = ValueOf(batch, "SLURM_TASKS_PER_NODE");
  if (gpus == 0) return;
  const auto tasks = ParseTasksPerNode(ValueOf(batch, "SLURM_TASKS_PER_NODE"));
  const bool even = tasks.ok() && std::all_of(tasks->begin(), tasks->end(), [&](int32_t count) {
                      return count == tasks->front();
                    });
  if (alone || !even) {
    result["SLURM_GPUS"] = std::to_string(gpus * TotalRanks(spec));
  } else {
    result["SLURM_GPUS_PER_NODE"] = std::to_string(gpus * tasks->front());
  }
}

}  // namespace

bool IsMpiSetting(const std::string& name) {
  return StartsWith(name, "OMPI_MCA_") || StartsWith(name, "PMIX_MCA_") ||
         StartsWith(name, "PRTE_MCA_");
}

Environment SlurmMpirunEnvironment(const SlurmTask& task, const Environment& batch) {
  Environment result;
  for (const auto& [name, value] : batch) {
    const bool slurms = StartsWith(name, "SLURM") && !Contains(kNotForSrun, name);
    if (slurms || Contains(kPersons, name)) result[name] = value;
  }
  result["SLURM_MEM_PER_NODE"] = "0";  // for srun: all that the job has there
  AddSharing(task.part().spec(), batch, result);
  for (const auto& [name, value] : task.mpi_environment()) result[name] = value;
  return result;
}

Environment SlurmRankEnvironment(const SlurmTask& task, const std::string& role,
                                 const Environment& current) {
  const PartSpec& part = task.part();
  Environment result;
  for (const auto& [name, value] : current) {
    if (IsMpis(name) || Contains(kPersons, name) || Contains(kForRanks, name)) {
      result[name] = value;
    }
  }
  for (const auto& [name, value] : part.spec().environment()) result[name] = value;
  if (const auto visible = result.find("CUDA_VISIBLE_DEVICES"); visible != result.end()) {
    visible->second = GpusOfRole(part.spec(), role, current, visible->second);
  }
  result["TANREN_LAUNCH"] = TokenText(part.token());
  result["TANREN_JOB"] = std::to_string(part.token().job());
  result["TANREN_ATTEMPT"] = std::to_string(part.token().attempt());
  result["TANREN_ROLE"] = role;
  if (part.spec().array_size() > 0) {
    result["TANREN_ARRAY_INDEX"] = std::to_string(part.array_index());
  }
  if (part.has_resume()) result["TANREN_RESUME"] = part.resume().folder();
  return result;
}

std::filesystem::path RecipeFile(const PartSpec& part) {
  return SlurmFolder::RunFolder(part).string() + ".yaml";
}

std::vector<std::string> SlurmRankProgram(const SlurmTask& task) {
  const PartSpec& part = task.part();
  if (part.spec().has_command()) {
    return {part.spec().command().argv().begin(), part.spec().command().argv().end()};
  }
  std::vector<std::string> argv = {task.worker(), "train", RecipeFile(part).string(), "--run",
                                   SlurmFolder::RunFolder(part).string()};
  if (part.has_resume()) {
    argv.push_back("--continue-from");
    argv.push_back(part.resume().folder());
  }
  return argv;
}

}  // namespace tanren::coordinator
