#include "coordinator/state/spec_check.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

constexpr size_t kLongestName = 64;
constexpr size_t kLongestRecipe = 1 << 20;
constexpr size_t kLongestCommand = 64 << 10;
constexpr size_t kLongestEnvironment = 64 << 10;
constexpr size_t kLongestFolder = 1024;
constexpr int kMostRoles = 16;
constexpr int kMostRanks = 100'000;
constexpr int kMostGpusPerRank = 64;
constexpr int kLargestArray = 10'000;
constexpr int kMostDependencies = 256;
constexpr int kMostLabels = 256;
constexpr size_t kLongestNodeText = 256;
constexpr int kMostVariables = 4096;
constexpr int kMostExcludedNodes = 10'000;
constexpr int64_t kLongestMs = 366LL * 24 * 3600 * 1000;

// What we set ourselves for each rank.
const std::set<std::string_view>& OwnVariables() {
  static const std::set<std::string_view> names = {
      "CUDA_VISIBLE_DEVICES", "TANREN_ARRAY_INDEX", "TANREN_ATTEMPT",
      "TANREN_EVENT_SOCKET",  "TANREN_JOB",         "TANREN_LAUNCH",
      "TANREN_LEASE",         "TANREN_RESUME",      "TANREN_ROLE"};
  return names;
}

absl::Status Wrong(std::string_view field, std::string_view found, std::string_view expected) {
  return absl::InvalidArgumentError(
      fmt::format("{}: found {}, expected {}", field, ForTerminal(found), expected));
}

std::string Quoted(std::string_view text) {
  if (text.size() > 80) return fmt::format("{} bytes, \"{}…\"", text.size(), text.substr(0, 60));
  return fmt::format("\"{}\"", text);
}

absl::Status CheckName(std::string_view field, std::string_view name) {
  if (IsSafeName(name, kLongestName)) return absl::OkStatus();
  return Wrong(field, Quoted(name),
               "1 to 64 letters, digits, \".\", \"_\", \"-\", the first a letter or digit");
}

template <typename Number>
absl::Status CheckRange(std::string_view field, Number value, Number least, Number most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return Wrong(field, fmt::format("{}", value), fmt::format("{} to {}", least, most));
}

absl::Status CheckText(std::string_view field, const std::string& text, size_t longest) {
  if (text.size() > longest) {
    return Wrong(field, fmt::format("{} bytes", text.size()), fmt::format("at most {}", longest));
  }
  if (text.find('\0') != std::string::npos) return Wrong(field, "a zero byte", "text");
  return absl::OkStatus();
}

absl::Status CheckFolder(std::string_view field, const std::string& folder) {
  TANREN_RETURN_IF_ERROR(CheckText(field, folder, kLongestFolder));
  if (!absl::StartsWith(folder, "/") || folder.size() == 1 || absl::EndsWith(folder, "/")) {
    return Wrong(field, Quoted(folder), "an absolute path without a slash at its end");
  }
  const std::vector<std::string> names = absl::StrSplit(folder.substr(1), '/');
  for (const std::string& name : names) {
    if (name.empty() || name == "." || name == "..") {
      return Wrong(field, Quoted(folder), "a path without \"//\", \".\" and \"..\"");
    }
  }
  if (std::any_of(folder.begin(), folder.end(),
                  [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); })) {
    return Wrong(field, Quoted(folder), "no control characters");
  }
  return absl::OkStatus();
}

absl::Status CheckWork(const JobSpec& spec, const CoreOptions& options) {
  switch (spec.work_case()) {
    case JobSpec::kRecipe:
      if (spec.recipe().recipe().empty()) return Wrong("recipe", "nothing", "a recipe's text");
      return CheckText("recipe", spec.recipe().recipe(), kLongestRecipe);
    case JobSpec::kCommand: {
      if (!options.allow_commands) {
        return absl::PermissionDeniedError(
            "command: only recipes are run here; an administrator may start the coordinator with "
            "--allow-commands");
      }
      if (spec.command().argv().empty()) return Wrong("command", "nothing", "a program's path");
      if (!absl::StartsWith(spec.command().argv(0), "/")) {
        return Wrong("command[0]", Quoted(spec.command().argv(0)), "an absolute path");
      }
      size_t size = 0;
      for (const std::string& argument : spec.command().argv()) {
        TANREN_RETURN_IF_ERROR(CheckText("command", argument, kLongestCommand));
        size += argument.size() + 1;
      }
      if (size > kLongestCommand) {
        return Wrong("command", fmt::format("{} bytes", size),
                     fmt::format("at most {}", kLongestCommand));
      }
      return absl::OkStatus();
    }
    case JobSpec::WORK_NOT_SET:
      break;
  }
  return Wrong("work", "nothing", "a recipe or a command");
}

absl::Status CheckRoles(const JobSpec& spec) {
  TANREN_RETURN_IF_ERROR(CheckRange("roles", spec.roles_size(), 1, kMostRoles));
  std::set<std::string> names;
  int64_t ranks = 0;
  for (int i = 0; i < spec.roles_size(); ++i) {
    const Role& role = spec.roles(i);
    const std::string field = fmt::format("roles[{}]", i);
    if (!role.name().empty() || spec.roles_size() > 1) {
      TANREN_RETURN_IF_ERROR(CheckName(field + ".name", role.name()));
    }
    if (!names.insert(role.name()).second) {
      return Wrong(field + ".name", Quoted(role.name()), "a name that no other role has");
    }
    TANREN_RETURN_IF_ERROR(CheckRange(field + ".ranks", role.ranks(), 1, kMostRanks));
    const Resources& each = role.per_rank();
    TANREN_RETURN_IF_ERROR(CheckRange(field + ".per_rank.gpus", each.gpus(), 0, kMostGpusPerRank));
    TANREN_RETURN_IF_ERROR(
        CheckRange(field + ".per_rank.cpu_millis", each.cpu_millis(), 0, 4'096'000));
    TANREN_RETURN_IF_ERROR(CheckRange<int64_t>(field + ".per_rank.memory_bytes",
                                               each.memory_bytes(), 0, int64_t{1} << 48));
    TANREN_RETURN_IF_ERROR(
        CheckRange(field + ".max_ranks_per_node", role.max_ranks_per_node(), 0, kMostRanks));
    ranks += role.ranks();
  }
  return CheckRange<int64_t>("ranks of all roles", ranks, 1, kMostRanks);
}

absl::Status CheckPolicies(const JobSpec& spec) {
  TANREN_RETURN_IF_ERROR(CheckRange("priority", spec.priority(), -1000, 1000));
  TANREN_RETURN_IF_ERROR(CheckRange<int64_t>("time_limit_ms", spec.time_limit_ms(), 0, kLongestMs));
  TANREN_RETURN_IF_ERROR(CheckRange("array_size", spec.array_size(), 0, kLargestArray));
  TANREN_RETURN_IF_ERROR(CheckRange("array_running", spec.array_running(), 0, kLargestArray));
  const RestartPolicy& restart = spec.restart();
  TANREN_RETURN_IF_ERROR(CheckRange("restart.retries", restart.retries(), -1, 1000));
  TANREN_RETURN_IF_ERROR(
      CheckRange<int64_t>("restart.first_delay_ms", restart.first_delay_ms(), 0, kLongestMs));
  TANREN_RETURN_IF_ERROR(
      CheckRange<int64_t>("restart.longest_delay_ms", restart.longest_delay_ms(), 0, kLongestMs));
  TANREN_RETURN_IF_ERROR(
      CheckRange<int64_t>("restart.hang_after_ms", restart.hang_after_ms(), 0, kLongestMs));
  TANREN_RETURN_IF_ERROR(
      CheckRange("dependencies", spec.dependencies_size(), 0, kMostDependencies));
  for (const Dependency& dependency : spec.dependencies()) {
    if (dependency.job() == 0) return Wrong("dependencies", "job 0", "a job's id");
    if (!Dependency::Kind_IsValid(dependency.kind())) {
      return Wrong("dependencies", fmt::format("kind {}", static_cast<int>(dependency.kind())),
                   "AFTER_SUCCESS, AFTER_FAILURE or AFTER_END");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckEnvironment(const JobSpec& spec) {
  TANREN_RETURN_IF_ERROR(
      CheckRange("environment", static_cast<int>(spec.environment_size()), 0, kMostVariables));
  size_t size = 0;
  for (const auto& [name, value] : spec.environment()) {
    const bool is_name = !name.empty() &&
                         !absl::ascii_isdigit(static_cast<unsigned char>(name[0])) &&
                         std::all_of(name.begin(), name.end(), [](char c) {
                           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
                         });
    if (!is_name) return Wrong("environment", Quoted(name), "letters, digits and \"_\"");
    if (OwnVariables().contains(name) || absl::StartsWith(name, "OMPI_") ||
        absl::StartsWith(name, "PMIX_") || absl::StartsWith(name, "PRTE_")) {
      return Wrong("environment", Quoted(name), "a name that Tanren and mpirun don't set");
    }
    TANREN_RETURN_IF_ERROR(CheckText("environment." + name, value, kLongestEnvironment));
    size += name.size() + value.size() + 2;
  }
  if (size > kLongestEnvironment) {
    return Wrong("environment", fmt::format("{} bytes", size),
                 fmt::format("at most {}", kLongestEnvironment));
  }
  return absl::OkStatus();
}

absl::Status CheckLabels(const std::string& field,
                         const google::protobuf::Map<std::string, std::string>& labels) {
  TANREN_RETURN_IF_ERROR(CheckRange(field, static_cast<int>(labels.size()), 0, kMostLabels));
  for (const auto& [name, value] : labels) {
    TANREN_RETURN_IF_ERROR(CheckName(field, name));
    TANREN_RETURN_IF_ERROR(CheckText(field + "." + name, value, kLongestNodeText));
  }
  return absl::OkStatus();
}

absl::Status CheckLauncher(std::string_view field, const std::string& launcher) {
  if (launcher == "" || launcher == "local" || launcher == "slurm") return absl::OkStatus();
  return Wrong(field, Quoted(launcher), "\"local\" or \"slurm\"");
}

absl::Status CheckWhere(const JobSpec& spec) {
  TANREN_RETURN_IF_ERROR(CheckLabels("node_labels", spec.node_labels()));
  TANREN_RETURN_IF_ERROR(
      CheckRange("excluded_nodes", spec.excluded_nodes_size(), 0, kMostExcludedNodes));
  for (const std::string& node : spec.excluded_nodes()) {
    TANREN_RETURN_IF_ERROR(CheckText("excluded_nodes", node, 253));
  }
  TANREN_RETURN_IF_ERROR(CheckLauncher("launcher", spec.launcher()));
  for (const auto& [name, value] : spec.slurm()) {
    if (std::find(SlurmKeys().begin(), SlurmKeys().end(), name) == SlurmKeys().end()) {
      return Wrong("slurm", Quoted(name), "one of " + absl::StrJoin(SlurmKeys(), ", "));
    }
    const bool is_plain = std::all_of(value.begin(), value.end(), [](char c) {
      return absl::ascii_isgraph(static_cast<unsigned char>(c));
    });
    if (value.empty() || value.size() > 256 || !is_plain) {
      return Wrong("slurm." + name, Quoted(value), "1 to 256 printable characters, no spaces");
    }
  }
  return absl::OkStatus();
}

}  // namespace

const std::vector<std::string>& SlurmKeys() {
  static const auto* const keys =
      new std::vector<std::string>{"partition",   "account",  "qos",   "constraint", "gres",
                                   "reservation", "licenses", "wckey", "nodelist",   "exclude"};
  return *keys;
}

bool IsSafeName(std::string_view name, size_t longest) {
  if (name.empty() || name.size() > longest) return false;
  if (!absl::ascii_isalnum(static_cast<unsigned char>(name[0]))) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  });
}

absl::Status CheckSpec(const JobSpec& spec, const CoreOptions& options) {
  TANREN_RETURN_IF_ERROR(CheckName("name", spec.name()));
  if (!spec.project().empty()) {
    TANREN_RETURN_IF_ERROR(CheckName("project", spec.project()));
  }
  TANREN_RETURN_IF_ERROR(CheckWork(spec, options));
  TANREN_RETURN_IF_ERROR(CheckRoles(spec));
  TANREN_RETURN_IF_ERROR(CheckPolicies(spec));
  TANREN_RETURN_IF_ERROR(CheckEnvironment(spec));
  TANREN_RETURN_IF_ERROR(CheckWhere(spec));
  return CheckFolder("folder", spec.folder());
}

absl::Status CheckNode(const Node& node) {
  if (!IsSafeName(node.name(), 253)) {
    return Wrong("node.name", Quoted(node.name()),
                 "1 to 253 letters, digits, \".\", \"_\", \"-\", the first a letter or digit");
  }
  TANREN_RETURN_IF_ERROR(CheckText("node.address", node.address(), 256));
  TANREN_RETURN_IF_ERROR(CheckText("node.reach", node.reach(), 256));
  TANREN_RETURN_IF_ERROR(CheckRange("node.gpus", node.gpus_size(), 0, 256));
  TANREN_RETURN_IF_ERROR(CheckText("node.rack", node.rack(), kLongestNodeText));
  TANREN_RETURN_IF_ERROR(CheckText("node.version", node.version(), kLongestNodeText));
  TANREN_RETURN_IF_ERROR(CheckText("node.incarnation", node.incarnation(), kLongestNodeText));
  TANREN_RETURN_IF_ERROR(CheckLauncher("node.launcher", node.launcher()));
  TANREN_RETURN_IF_ERROR(CheckLabels("node.labels", node.labels()));
  std::set<int32_t> indices;
  for (const Gpu& gpu : node.gpus()) {
    TANREN_RETURN_IF_ERROR(CheckText("node.gpus.name", gpu.name(), kLongestNodeText));
    if (!indices.insert(gpu.index()).second) {
      return Wrong("node.gpus", fmt::format("index {} twice", gpu.index()), "each GPU once");
    }
  }
  TANREN_RETURN_IF_ERROR(CheckRange("node.cpu_millis", node.cpu_millis(), 0, 1'000'000'000));
  return CheckRange<int64_t>("node.memory_bytes", node.memory_bytes(), 0, int64_t{1} << 56);
}

absl::Status CheckRequestId(std::string_view request_id) {
  const bool is_safe = std::all_of(request_id.begin(), request_id.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-' ||
           c == ':';
  });
  if (!request_id.empty() && request_id.size() <= 128 && is_safe) return absl::OkStatus();
  return Wrong("request_id", Quoted(request_id),
               "1 to 128 letters, digits, \".\", \"_\", \"-\", \":\"");
}

absl::Status CheckQuota(const Quota& quota) {
  const std::vector<std::string> parts = absl::StrSplit(quota.subject(), absl::MaxSplits('/', 1));
  if (parts.size() != 2 || (parts[0] != "user" && parts[0] != "project") ||
      !IsSafeName(parts[1], kLongestName)) {
    return Wrong("quota.subject", Quoted(quota.subject()), "\"user/NAME\" or \"project/NAME\"");
  }
  TANREN_RETURN_IF_ERROR(CheckRange("quota.gpus", quota.gpus(), 0, 1'000'000'000));
  TANREN_RETURN_IF_ERROR(CheckRange("quota.cpu_millis", quota.cpu_millis(), 0, 2'000'000'000));
  TANREN_RETURN_IF_ERROR(CheckRange("quota.running_jobs", quota.running_jobs(), 0, 1'000'000'000));
  TANREN_RETURN_IF_ERROR(CheckRange("quota.pending_jobs", quota.pending_jobs(), 0, 1'000'000'000));
  return CheckRange("quota.share", quota.share(), 0.0, 1e9);
}

JobSpec Completed(const JobSpec& spec, const CoreOptions& options) {
  JobSpec completed = spec;
  if (completed.launcher().empty()) completed.set_launcher(options.default_launcher);
  if (completed.roles_size() == 1 && completed.roles(0).name().empty()) {
    completed.mutable_roles(0)->set_name("trainer");
  }
  const RestartPolicy& fallback = options.default_restart;
  RestartPolicy& restart = *completed.mutable_restart();
  const auto choose = [](int64_t own, int64_t theirs, int64_t ours) {
    return own != 0 ? own : theirs != 0 ? theirs : ours;
  };
  restart.set_retries(static_cast<int32_t>(choose(restart.retries(), fallback.retries(), 3)));
  restart.set_first_delay_ms(choose(restart.first_delay_ms(), fallback.first_delay_ms(), 5'000));
  restart.set_longest_delay_ms(
      choose(restart.longest_delay_ms(), fallback.longest_delay_ms(), 600'000));
  restart.set_hang_after_ms(choose(restart.hang_after_ms(), fallback.hang_after_ms(), 0));
  return completed;
}

}  // namespace tanren::coordinator
