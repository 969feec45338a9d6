#include "coordinator/client/job_options.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "coordinator/client/quantities.h"
#include "coordinator/state/spec_check.h"
#include "fmt/format.h"
#include "google/protobuf/map.h"
#include "runtime/base/error.h"
#include "runtime/base/machine.h"
#include "runtime/config/recipe_file.h"
#include "runtime/config/recipe_text.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLongestName = 64;

// What the coordinator takes as a name, made from anything.
std::string SafeName(const std::string& text) {
  std::string name;
  for (const char c : text.substr(0, kLongestName)) {
    const bool safe = absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_';
    name += safe ? c : '-';
  }
  return name.empty() ? "job" : name;
}

absl::StatusOr<std::pair<std::string, std::string>> SplitPair(const std::string& option,
                                                              const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return absl::InvalidArgumentError(fmt::format("{} {}: expected NAME=VALUE", option, text));
  }
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

absl::Status AddPairs(const std::string& option, const std::vector<std::string>& texts,
                      google::protobuf::Map<std::string, std::string>& pairs) {
  for (const std::string& text : texts) {
    TANREN_ASSIGN_OR_RETURN(const auto pair, SplitPair(option, text));
    pairs[pair.first] = pair.second;
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> Duration(const std::string& option, const std::string& text) {
  if (text.empty()) return 0;
  auto parsed = ParseDuration(text);
  if (!parsed.ok()) return Annotate(parsed.status(), option);
  return *parsed;
}

absl::StatusOr<int> Count(const std::string& option, const std::string& text) {
  int count = 0;
  if (!absl::SimpleAtoi(text, &count) || count < 0 || count > 1'000'000) {
    return absl::InvalidArgumentError(
        fmt::format("{}: found \"{}\", expected a whole number", option, text));
  }
  return count;
}

absl::Status SetCores(const std::string& option, double cores, Resources& resources) {
  if (!(cores >= 0 && cores <= 10'000)) {
    return absl::InvalidArgumentError(
        fmt::format("{}: found {:g}, expected a number of cores of at most 10000", option, cores));
  }
  resources.set_cpu_millis(static_cast<int32_t>(cores * 1000 + 0.5));
  return absl::OkStatus();
}

absl::Status SetMemory(const std::string& option, const std::string& text, Resources& resources) {
  auto bytes = ParseBytes(text);
  if (!bytes.ok()) return Annotate(bytes.status(), option);
  resources.set_memory_bytes(*bytes);
  return absl::OkStatus();
}

// "name=trainer,ranks=4,gpus=1,cpus=2,memory=16GiB,per-node=2".
absl::StatusOr<Role> ParseRole(const std::string& text, const Resources& otherwise) {
  Role role;
  role.set_ranks(1);
  *role.mutable_per_rank() = otherwise;
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  for (const std::string& part : parts) {
    const std::string option = "--role " + text;
    TANREN_ASSIGN_OR_RETURN(const auto pair, SplitPair(option, part));
    const auto& [key, value] = pair;
    if (key == "name") {
      role.set_name(value);
    } else if (key == "ranks") {
      TANREN_ASSIGN_OR_RETURN(const int ranks, Count(option + ": ranks", value));
      role.set_ranks(ranks);
    } else if (key == "gpus") {
      TANREN_ASSIGN_OR_RETURN(const int gpus, Count(option + ": gpus", value));
      role.mutable_per_rank()->set_gpus(gpus);
    } else if (key == "cpus") {
      double cores = 0;
      if (!absl::SimpleAtod(value, &cores)) cores = -1;
      TANREN_RETURN_IF_ERROR(SetCores(option + ": cpus", cores, *role.mutable_per_rank()));
    } else if (key == "memory") {
      TANREN_RETURN_IF_ERROR(SetMemory(option + ": memory", value, *role.mutable_per_rank()));
    } else if (key == "per-node") {
      TANREN_ASSIGN_OR_RETURN(const int most, Count(option + ": per-node", value));
      role.set_max_ranks_per_node(most);
    } else {
      return absl::InvalidArgumentError(
          fmt::format("{}: unknown key \"{}\", expected name, ranks, gpus, cpus, memory or "
                      "per-node",
                      option, key));
    }
  }
  if (role.name().empty()) {
    return absl::InvalidArgumentError(fmt::format("--role {}: expected a name=…", text));
  }
  return role;
}

// Ranks, and what each has.
absl::Status AddRoles(const JobOptions& options, double default_cores, JobSpec& spec) {
  Resources per_rank;
  TANREN_RETURN_IF_ERROR(
      SetCores("--cpus", options.cpus > 0 ? options.cpus : default_cores, per_rank));
  if (!options.memory.empty())
    TANREN_RETURN_IF_ERROR(SetMemory("--memory", options.memory, per_rank));
  if (!options.roles.empty()) {
    if (options.ranks != 0 || options.gpus != 0) {
      return absl::InvalidArgumentError(
          "--role says ranks and GPUs itself: leave out --ranks, --gpus");
    }
    for (const std::string& text : options.roles) {
      TANREN_ASSIGN_OR_RETURN(*spec.add_roles(), ParseRole(text, per_rank));
    }
    return absl::OkStatus();
  }
  const int ranks = options.ranks > 0 ? options.ranks : std::max(options.gpus, 1);
  if (options.gpus % ranks != 0) {
    return absl::InvalidArgumentError(
        fmt::format("--gpus {} can't be shared evenly by --ranks {}", options.gpus, ranks));
  }
  per_rank.set_gpus(options.gpus / ranks);
  Role& role = *spec.add_roles();
  role.set_name("trainer");
  role.set_ranks(ranks);
  role.set_max_ranks_per_node(options.ranks_per_node);
  *role.mutable_per_rank() = per_rank;
  return absl::OkStatus();
}

void AddDependencies(const std::vector<uint64_t>& jobs, Dependency::Kind kind, JobSpec& spec) {
  for (const uint64_t job : jobs) {
    Dependency& dependency = *spec.add_dependencies();
    dependency.set_job(job);
    dependency.set_kind(kind);
  }
}

absl::Status AddEnvironment(const JobOptions& options, const Environment& environment,
                            JobSpec& spec) {
  for (const std::string& text : options.environment) {
    const size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (name.empty()) {
      return absl::InvalidArgumentError(fmt::format("--env {}: expected NAME=VALUE or NAME", text));
    }
    (*spec.mutable_environment())[name] =
        equals == std::string::npos ? environment(name) : text.substr(equals + 1);
  }
  return absl::OkStatus();
}

// Returns how many cores a rank takes.
absl::StatusOr<double> AddRecipe(const JobOptions& options, JobSpec& spec) {
  TANREN_ASSIGN_OR_RETURN(const Recipe recipe, LoadRecipe(options.recipe, options.settings));
  spec.mutable_recipe()->set_recipe(WriteRecipe(recipe));
  spec.set_name(SafeName(recipe.name()));
  return std::max(recipe.training().threads(), 1);
}

// The program by its absolute path.
absl::StatusOr<std::string> ProgramPath(const std::string& program, const fs::path& folder) {
  const bool in_path = !absl::StrContains(program, '/');
  const fs::path path = in_path ? FindProgram(program) : (folder / program).lexically_normal();
  if (path.empty()) {
    return absl::InvalidArgumentError(fmt::format("{}: no such program in PATH", program));
  }
  return path.string();
}

absl::Status AddCommand(const JobOptions& options, const fs::path& folder, JobSpec& spec) {
  TANREN_ASSIGN_OR_RETURN(const std::string program, ProgramPath(options.argv.front(), folder));
  spec.mutable_command()->add_argv(program);
  for (size_t i = 1; i < options.argv.size(); ++i)
    spec.mutable_command()->add_argv(options.argv[i]);
  spec.set_name(SafeName(fs::path(program).filename()));
  return absl::OkStatus();
}

}  // namespace

void AddJobOptions(CLI::App& command, JobOptions& options) {
  const auto count = CLI::Range(1, 1'000'000);
  command.add_option("--ranks", options.ranks, "Processes; default: one, or one for each GPU")
      ->check(count);
  command.add_option("--gpus", options.gpus, "GPUs of all ranks together")->check(count);
  command.add_option("--cpus", options.cpus,
                     "Cores of each rank; default: the recipe's threads, else 1");
  command.add_option("--memory", options.memory,
                     "Memory of each rank, as 16GiB; default: not counted");
  command.add_option("--ranks-per-node", options.ranks_per_node, "At most so many on a machine")
      ->check(count);
  command.add_option("--role", options.roles,
                     "Ranks of one kind in a gang of several: name=trainer,ranks=4,gpus=1,cpus=2,"
                     "memory=16GiB,per-node=2; may be given repeatedly");
  command.add_option("--name", options.name, "Default: the recipe's or the program's");
  command.add_option("--project", options.project, "Whom its use is counted for");
  command.add_option("--priority", options.priority, "Higher starts first; default: 0")
      ->check(CLI::Range(-1000, 1000));
  command.add_option("--time-limit", options.time_limit, "Of each attempt, as 90s, 45m, 1h30m, 2d");
  command
      .add_option("--array", options.array,
                  "As many jobs, which find their index in TANREN_ARRAY_INDEX")
      ->check(count);
  command.add_option("--array-running", options.array_running, "At most so many of them at once")
      ->check(count);
  command.add_option("--after", options.after, "Starts when these jobs have ended")->delimiter(',');
  command.add_option("--after-success", options.after_success, "Starts when these jobs succeeded")
      ->delimiter(',');
  command.add_option("--after-failure", options.after_failure, "Starts when these jobs failed")
      ->delimiter(',');
  command.add_flag("--hold", options.hold, "Waits for `tanren release`");
  command.add_flag("--preemptible", options.preemptible,
                   "May be stopped (and go on later) for a job of higher priority");
  command
      .add_option("--retries", options.retries,
                  "Attempts after failures that aren't its own, between two checkpoints")
      ->check(CLI::Range(0, 1000));
  command.add_option("--hang-after", options.hang_after,
                     "Without a step for so long it hangs; default: ten times its own pace");
  command.add_option(
      "--env", options.environment,
      "NAME=VALUE for its processes, or NAME as it is here; may be given repeatedly");
  command.add_option("--label", options.labels, "NAME=VALUE that a machine must have");
  command.add_option("--exclude", options.excluded_nodes, "Machines that it doesn't run on")
      ->delimiter(',');
  command.add_option("--folder", options.folder,
                     "Where its folder job-<number> is made, seen by all machines; default: runs");
  command.add_option("--launcher", options.launcher, "local or slurm; default: the coordinator's");
  command.add_option("--slurm", options.slurm,
                     "KEY=VALUE for sbatch: " + absl::StrJoin(SlurmKeys(), ", "));
}

absl::StatusOr<JobSpec> MakeJobSpec(const JobOptions& options, const Environment& environment,
                                    const fs::path& working_folder) {
  JobSpec spec;
  double default_cores = 1;
  if (options.argv.empty()) {
    TANREN_ASSIGN_OR_RETURN(default_cores, AddRecipe(options, spec));
  } else {
    TANREN_RETURN_IF_ERROR(AddCommand(options, working_folder, spec));
  }
  if (!options.name.empty()) spec.set_name(options.name);
  spec.set_project(options.project);
  TANREN_RETURN_IF_ERROR(AddRoles(options, default_cores, spec));
  spec.set_priority(options.priority);
  TANREN_ASSIGN_OR_RETURN(const int64_t time_limit, Duration("--time-limit", options.time_limit));
  spec.set_time_limit_ms(time_limit);
  spec.set_array_size(options.array);
  spec.set_array_running(options.array_running);
  AddDependencies(options.after, Dependency::AFTER_END, spec);
  AddDependencies(options.after_success, Dependency::AFTER_SUCCESS, spec);
  AddDependencies(options.after_failure, Dependency::AFTER_FAILURE, spec);
  spec.set_held(options.hold);
  spec.set_preemptible(options.preemptible);
  if (options.retries >= 0) {
    spec.mutable_restart()->set_retries(options.retries == 0 ? -1 : options.retries);
  }
  TANREN_ASSIGN_OR_RETURN(const int64_t hang_after, Duration("--hang-after", options.hang_after));
  if (hang_after > 0) spec.mutable_restart()->set_hang_after_ms(hang_after);
  TANREN_RETURN_IF_ERROR(AddEnvironment(options, environment, spec));
  TANREN_RETURN_IF_ERROR(AddPairs("--label", options.labels, *spec.mutable_node_labels()));
  TANREN_RETURN_IF_ERROR(AddPairs("--slurm", options.slurm, *spec.mutable_slurm()));
  for (const std::string& node : options.excluded_nodes) spec.add_excluded_nodes(node);
  const fs::path folder = options.folder.empty() ? "runs" : options.folder;
  spec.set_folder((working_folder / folder).lexically_normal().string());
  spec.set_launcher(options.launcher);
  return spec;
}

}  // namespace tanren::coordinator
