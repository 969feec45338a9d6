#include "coordinator/launch/slurm/slurm_request.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "absl/strings/str_join.h"
#include "coordinator/state/cluster.h"
#include "coordinator/state/spec_check.h"
#include "runtime/base/error.h"
#include "runtime/telemetry/crc32c.h"

namespace tanren::coordinator {
namespace {

constexpr size_t kLongestValue = 256;
constexpr int64_t kMebibyte = int64_t{1} << 20;

// What names of partitions, constraints ("[rack1|rack2]&gpu*2") and GRES ("gpu:a100:4") are made
// of. Slurm's own syntax is in it, a shell's isn't.
bool IsPlain(char c) {
  return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9') ||
         std::string_view("_.,:=@%+/&|*()[]!-").find(c) != std::string_view::npos;
}

absl::Status CheckValue(const std::string& key, const std::string& value) {
  if (value.empty() || value.size() > kLongestValue || value.front() == '-' ||
      !std::all_of(value.begin(), value.end(), IsPlain)) {
    return absl::InvalidArgumentError(fmt::format(
        "slurm.{}: expected 1 to {} letters, digits or any of _.,:=@%+/&|*()[]!- (no \"-\" first), "
        "found {} characters",
        key, kLongestValue, value.size()));
  }
  return absl::OkStatus();
}

bool IsName(const std::string& name) {
  const auto letter = [](char c) {
    return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || c == '_';
  };
  return !name.empty() && letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return letter(c) || ('0' <= c && c <= '9');
  });
}

bool IsRoleName(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return IsPlain(c) && (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-');
  });
}

// The largest of what the roles ask for each rank: Slurm gives all tasks of a job the same.
Resources PerTask(const JobSpec& spec) {
  Resources most;
  for (const Role& role : spec.roles()) {
    most.set_gpus(std::max(most.gpus(), role.per_rank().gpus()));
    most.set_cpu_millis(std::max(most.cpu_millis(), role.per_rank().cpu_millis()));
    most.set_memory_bytes(std::max(most.memory_bytes(), role.per_rank().memory_bytes()));
  }
  return most;
}

int32_t TasksPerNode(const JobSpec& spec) {
  int32_t fewest = 0;
  for (const Role& role : spec.roles()) {
    const int32_t limit = role.max_ranks_per_node();
    if (limit > 0) fewest = fewest == 0 ? limit : std::min(fewest, limit);
  }
  return fewest;
}

void AddResources(const JobSpec& spec, std::vector<std::string>& options) {
  const Resources task = PerTask(spec);
  const int64_t cpus = std::max<int64_t>(1, (task.cpu_millis() + 999) / 1000);
  options.push_back(fmt::format("--ntasks={}", TotalRanks(spec)));
  options.push_back(fmt::format("--cpus-per-task={}", cpus));
  if (const int32_t limit = TasksPerNode(spec); limit > 0) {
    options.push_back(fmt::format("--ntasks-per-node={}", std::min(limit, TotalRanks(spec))));
  }
  if (task.memory_bytes() > 0) {
    const int64_t per_cpu = (task.memory_bytes() + cpus * kMebibyte - 1) / (cpus * kMebibyte);
    options.push_back(fmt::format("--mem-per-cpu={}M", per_cpu));
  }
  if (const int32_t gpus = GpusPerTask(spec); gpus > 0) {
    options.push_back(fmt::format("--gpus-per-task={}", gpus));
  }
}

// Slurm counts whole minutes, and kills: its limit leaves room for the coordinator's own, which
// asks the ranks to save. The signal comes in any case, for the partition has a limit too.
void AddTime(const JobSpec& spec, const SlurmRequestOptions& request,
             std::vector<std::string>& options) {
  options.push_back(fmt::format("--signal=B:USR1@{}", request.save_before_limit_s));
  if (spec.time_limit_ms() <= 0) return;
  const int64_t seconds = spec.time_limit_ms() / 1000 + request.save_before_limit_s;
  options.push_back(fmt::format("--time={}", (seconds + 59) / 60 + 1));
}

}  // namespace

int32_t TotalRanks(const JobSpec& spec) {
  int32_t ranks = 0;
  for (const Role& role : spec.roles()) ranks += role.ranks();
  return std::max(1, ranks);
}

int32_t GpusPerTask(const JobSpec& spec) {
  const auto gres = spec.slurm().find("gres");
  const bool own = gres != spec.slurm().end() && gres->second.find("gpu") != std::string::npos;
  return own ? 0 : PerTask(spec).gpus();
}

absl::Status CheckSlurmSpec(const JobSpec& spec) {
  for (const auto& [key, value] : spec.slurm()) {
    if (std::find(SlurmKeys().begin(), SlurmKeys().end(), key) == SlurmKeys().end()) {
      return absl::InvalidArgumentError(fmt::format("slurm: unknown key \"{}\"; known are {}",
                                                    key.substr(0, kLongestValue),
                                                    absl::StrJoin(SlurmKeys(), ", ")));
    }
    TANREN_RETURN_IF_ERROR(CheckValue(key, value));
  }
  for (const auto& [name, value] : spec.environment()) {
    if (!IsName(name) || value.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(fmt::format(
          "environment: \"{}\" isn't the name of a variable (letters, digits, _)", name));
    }
  }
  for (const Role& role : spec.roles()) {
    if (!IsRoleName(role.name())) {
      return absl::InvalidArgumentError(fmt::format(
          "roles: expected a name of letters, digits, \"_\" and \"-\", found \"{}\"", role.name()));
    }
  }
  if (spec.folder().empty() || spec.folder()[0] != '/' ||
      spec.folder().find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        fmt::format("folder: expected an absolute path, found \"{}\"", spec.folder()));
  }
  return absl::OkStatus();
}

std::string SlurmJobName(const PartSpec& part) {
  const std::string folder =
      std::filesystem::path(part.spec().folder()).lexically_normal().string();
  return fmt::format("tanren-{}-{:08x}", part.token().job(), telemetry::Crc32c(folder));
}

std::string SlurmComment(const AttemptToken& token) {
  return fmt::format("tanren-{}", TokenText(token));
}

absl::StatusOr<std::vector<std::string>> SbatchOptions(const PartSpec& part,
                                                       const SlurmRequestOptions& request) {
  const JobSpec& spec = part.spec();
  TANREN_RETURN_IF_ERROR(CheckSlurmSpec(spec));
  std::vector<std::string> options = {
      "--parsable",
      "--job-name=" + SlurmJobName(part),
      "--comment=" + SlurmComment(part.token()),
      // Of jobs with one name one runs at a time.
      "--dependency=singleton",
      // A second run of the attempt is never wanted: the coordinator decides on the next one.
      "--no-requeue",
      "--export=NONE",
      "--input=/dev/null",
      "--output=/dev/null",  // the script writes into its own log
      "--chdir=/",
  };
  AddResources(spec, options);
  AddTime(spec, request, options);
  const int32_t lowest = request.may_go_below_0 ? -10000 : 0;
  const int32_t nice = std::max(lowest, request.nice_of_priority_0 - spec.priority());
  options.push_back(fmt::format("--nice={}", nice));
  for (const std::string& key : SlurmKeys()) {
    if (const auto value = spec.slurm().find(key); value != spec.slurm().end()) {
      options.push_back(fmt::format("--{}={}", key, value->second));
    }
  }
  return options;
}

}  // namespace tanren::coordinator
