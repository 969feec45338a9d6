#include "coordinator/launch/local/part_commands.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "coordinator/state/cluster.h"
#include "coordinator/state/spec_check.h"
#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

constexpr char kPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr char kDaemonHost[] = "240.";
constexpr size_t kLongestRole = 64;

bool IsVariableName(std::string_view name) {
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name.front())) == 0 &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return (std::isalnum(c) != 0 && c < 128) || c == '_'; });
}

std::vector<std::string> Lines(const std::map<std::string, std::string>& variables) {
  std::vector<std::string> lines;
  for (const auto& [name, value] : variables) lines.push_back(fmt::format("{}={}", name, value));
  return lines;
}

std::map<std::string, std::string> Basics(const Account& account) {
  return {{"PATH", kPath},
          {"HOME", account.home},
          {"USER", account.name},
          {"LANG", "C.UTF-8"},
          {"TMPDIR", "/tmp"}};
}

// Two nodes that are one machine: Open MPI's transport by shared memory fails between them.
bool NodesShareHost(const PartSpec& part) {
  std::set<std::string> addresses;
  return std::any_of(part.addresses().begin(), part.addresses().end(),
                     [&](const auto& address) { return !addresses.insert(address.second).second; });
}

}  // namespace

absl::StatusOr<std::vector<WorkerGroup>> GroupsOf(const SupervisorSpec& spec) {
  std::vector<WorkerGroup> groups;
  for (const Role& role : spec.part().spec().roles()) {
    if (!IsSafeName(role.name(), kLongestRole)) {
      return absl::InvalidArgumentError(
          fmt::format("role '{}': expected letters, digits, '.', '_', '-'", role.name()));
    }
    WorkerGroup group{.role = role.name(), .ranks = role.ranks()};
    for (const Placement& placement : spec.part().placements()) {
      if (placement.role() != role.name()) continue;
      group.placements.push_back(placement);
      if (placement.node() != spec.node()) continue;
      group.ranks_here += placement.ranks();
      group.gpus_here.insert(group.gpus_here.end(), placement.gpus().begin(),
                             placement.gpus().end());
    }
    std::sort(group.placements.begin(), group.placements.end(),
              [](const auto& a, const auto& b) { return a.first_rank() < b.first_rank(); });
    int next = 0;
    for (const Placement& placement : group.placements) {
      if (placement.first_rank() != next || placement.ranks() <= 0) break;
      next += placement.ranks();
    }
    if (next != role.ranks()) {
      return absl::InvalidArgumentError(
          fmt::format("role '{}': its placements hold ranks 0 to {}, expected {} ranks",
                      role.name(), next - 1, role.ranks()));
    }
    groups.push_back(std::move(group));
  }
  if (groups.empty()) return absl::InvalidArgumentError("a job has to have a role");
  return groups;
}

bool IsHead(const SupervisorSpec& spec) {
  return spec.part().placements_size() > 0 && spec.part().placements(0).node() == spec.node();
}

JobFolders FoldersOf(const PartSpec& part) {
  JobFolders folders;
  if (part.spec().folder().empty()) return folders;
  const std::string attempt = fmt::format("attempt-{}", part.token().attempt());
  folders.job = JobFolder(part.spec(), part.token().job());
  folders.attempt = folders.job / attempt;
  folders.latest = folders.job / "latest";
  if (part.spec().has_recipe()) folders.recipe = folders.job / (attempt + ".yaml");
  return folders;
}

std::vector<std::string> RankArguments(const SupervisorSpec& spec) {
  const PartSpec& part = spec.part();
  if (part.spec().has_command()) {
    return {part.spec().command().argv().begin(), part.spec().command().argv().end()};
  }
  const JobFolders folders = FoldersOf(part);
  std::vector<std::string> words = {spec.worker(), "train", folders.recipe, "--run",
                                    folders.attempt};
  if (!part.resume().folder().empty()) {
    words.insert(words.end(), {"--continue-from", part.resume().folder()});
  }
  return words;
}

std::vector<std::string> RankEnvironment(const SupervisorSpec& spec, const WorkerGroup& group,
                                         const Account& account,
                                         const std::filesystem::path& part_folder) {
  const PartSpec& part = spec.part();
  std::map<std::string, std::string> variables = Basics(account);
  for (const auto& [name, value] : part.spec().environment()) {
    if (IsVariableName(name) && value.find('\0') == std::string::npos) variables[name] = value;
  }
  variables["TANREN_LAUNCH"] = TokenText(part.token());
  variables["TANREN_EVENT_SOCKET"] = part_folder / "events.sock";
  variables["TANREN_LEASE"] = spec.lease();
  variables["TANREN_JOB"] = fmt::format("{}", part.token().job());
  variables["TANREN_ATTEMPT"] = fmt::format("{}", part.token().attempt());
  variables["TANREN_ARRAY_INDEX"] = fmt::format("{}", part.array_index());
  variables["TANREN_ROLE"] = group.role;
  if (part.spec().has_command() && !part.resume().folder().empty()) {
    variables["TANREN_RESUME"] = part.resume().folder();
  }
  // Set even where there are none: a job sees no GPU that it wasn't given. Numbers are those of the
  // driver, whichever GPU is the fastest.
  variables["CUDA_VISIBLE_DEVICES"] = absl::StrJoin(group.gpus_here, ",");
  if (!group.gpus_here.empty()) variables["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID";
  return Lines(variables);
}

std::vector<std::string> LauncherEnvironment(const Account& account,
                                             const std::filesystem::path& part_folder) {
  std::map<std::string, std::string> variables = Basics(account);
  variables["PATH"] = fmt::format("{}:{}", (part_folder / "bin").string(), kPath);
  variables["TANREN_PART_SOCKET"] = part_folder / "rank.sock";
  return Lines(variables);
}

std::vector<std::string> MpirunArguments(const SupervisorSpec& spec, const WorkerGroup& group,
                                         const std::string& own_host_name) {
  std::vector<std::string> hosts;
  for (const Placement& placement : group.placements) {
    std::string host = own_host_name;
    if (placement.node() != spec.node()) {
      int number = 0;
      while (spec.part().placements(number).node() != placement.node()) ++number;
      host = MpirunHost(number + 1);
    }
    hosts.push_back(fmt::format("{}:{}", host, placement.ranks()));
  }
  std::vector<std::string> words = {"mpirun",
                                    "--allow-run-as-root",
                                    "--bind-to",
                                    "none",
                                    "--map-by",
                                    "slot",
                                    "--noprefix",
                                    "--host",
                                    absl::StrJoin(hosts, ","),
                                    "-n",
                                    fmt::format("{}", group.ranks)};
  const auto set = [&words](std::string name, std::string value) {
    words.insert(words.end(), {"--mca", std::move(name), std::move(value)});
  };
  // Each daemon is started from here, through the agents.
  set("plm", "rsh");
  set("plm_rsh_agent", fmt::format("{} remote-shell --socket {} --token {}", spec.program(),
                                   spec.agent_socket(), TokenText(spec.part().token())));
  set("plm_rsh_no_tree_spawn", "1");
  set("orte_keep_fqdn_hostnames", "1");
  // 1 is "use what the machine has": only where two nodes are one machine does that fail.
  if (NodesShareHost(spec.part())) set("btl", "tcp,self");
  set("orte_leave_session_attached", "1");
  words.insert(words.end(), {"tanren-rank", "rank", group.role});
  return words;
}

std::string MpirunHost(int placement) {
  return fmt::format("{}{}.{}.{}", kDaemonHost, placement / 65536, placement / 256 % 256,
                     placement % 256);
}

absl::StatusOr<std::string> NodeOfMpirunHost(const PartSpec& part, const std::string& host) {
  for (int i = 0; i < part.placements_size(); ++i) {
    if (MpirunHost(i + 1) == host) return part.placements(i).node();
  }
  return absl::NotFoundError(fmt::format("'{}' is no node of this attempt", host));
}

}  // namespace tanren::coordinator
