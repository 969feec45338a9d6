#include "runtime/comm/launched_rank.h"

#include <charconv>
#include <cstdint>

#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::comm {
namespace {

constexpr int kMostRanks = 1 << 20;
// Below the ports that systems give out by themselves (from 32768 on), above the usual services.
constexpr int kFirstPort = 20000;
constexpr int kPorts = 12000;

std::string Value(const Environment& environment, const char* name) {
  const char* value = environment(name);
  return value == nullptr ? "" : value;
}

bool Has(const Environment& environment, const char* name) {
  return !Value(environment, name).empty();
}

absl::StatusOr<int> Number(const Environment& environment, const char* name, int least, int most) {
  const std::string text = Value(environment, name);
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || number < least ||
      number > most) {
    return absl::InvalidArgumentError(fmt::format(
        "the environment's {} is '{}', expected a number from {} to {}", name, text, least, most));
  }
  return number;
}

absl::Status SetRank(const Environment& environment, const char* rank, const char* size,
                     LaunchedRank& launched) {
  TANREN_ASSIGN_OR_RETURN(launched.size, Number(environment, size, 1, kMostRanks));
  TANREN_ASSIGN_OR_RETURN(launched.rank, Number(environment, rank, 0, launched.size - 1));
  launched.local_rank = LocalRank(environment);
  return absl::OkStatus();
}

absl::StatusOr<LaunchedRank> FromMaster(const Environment& environment) {
  LaunchedRank launched;
  TANREN_RETURN_IF_ERROR(SetRank(environment, "RANK", "WORLD_SIZE", launched));
  if (launched.size == 1) return launched;
  launched.host = Value(environment, "MASTER_ADDR");
  if (launched.host.empty()) {
    return absl::InvalidArgumentError(
        "the environment has RANK, but no MASTER_ADDR: the host of rank 0");
  }
  TANREN_ASSIGN_OR_RETURN(launched.port, Number(environment, "MASTER_PORT", 1, 65535));
  launched.job = Value(environment, "TORCHELASTIC_RUN_ID");
  return launched;
}

absl::StatusOr<LaunchedRank> FromSlurm(const Environment& environment) {
  LaunchedRank launched;
  const char* size =
      Has(environment, "SLURM_STEP_NUM_TASKS") ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS";
  TANREN_RETURN_IF_ERROR(SetRank(environment, "SLURM_PROCID", size, launched));
  const char* hosts =
      Has(environment, "SLURM_STEP_NODELIST") ? "SLURM_STEP_NODELIST" : "SLURM_JOB_NODELIST";
  const absl::StatusOr<std::string> host = FirstSlurmHost(Value(environment, hosts));
  if (!host.ok()) return Annotate(host.status(), fmt::format("the environment's {}", hosts));
  launched.host = *host;
  TANREN_ASSIGN_OR_RETURN(const int job, Number(environment, "SLURM_JOB_ID", 0, INT32_MAX));
  // The extern and interactive steps have large numbers.
  TANREN_ASSIGN_OR_RETURN(const int step,
                          Number(environment, "SLURM_STEP_ID", INT32_MIN, INT32_MAX));
  launched.port = kFirstPort + static_cast<int>((uint64_t(job) * 31 + uint32_t(step)) % kPorts);
  launched.job = fmt::format("slurm {}.{}", job, step);
  return launched;
}

// The rank in the first of the variables that holds one; 0 if none does.
int FirstNumber(const Environment& environment, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (!Has(environment, name)) continue;
    if (const absl::StatusOr<int> rank = Number(environment, name, 0, kMostRanks); rank.ok()) {
      return *rank;
    }
  }
  return 0;
}

}  // namespace

absl::StatusOr<std::optional<LaunchedRank>> RankFromEnvironment(const Environment& environment) {
  if (Has(environment, "RANK") && Has(environment, "WORLD_SIZE")) {
    TANREN_ASSIGN_OR_RETURN(LaunchedRank launched, FromMaster(environment));
    return launched;
  }
  // A batch script has SLURM_PROCID too, but it isn't a task of srun.
  if (Has(environment, "SLURM_PROCID") && Has(environment, "SLURM_STEP_ID")) {
    TANREN_ASSIGN_OR_RETURN(LaunchedRank launched, FromSlurm(environment));
    return launched;
  }
  return std::nullopt;
}

int GlobalRank(const Environment& environment) {
  return FirstNumber(environment,
                     {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID", "RANK"});
}

int LocalRank(const Environment& environment) {
  return FirstNumber(environment, {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID",
                                   "LOCAL_RANK"});
}

absl::StatusOr<std::string> FirstSlurmHost(std::string_view list) {
  std::string host;
  size_t i = 0;
  while (i < list.size() && list[i] != ',') {
    if (list[i] != '[') {
      if (list[i] == ']') break;
      host += list[i++];
      continue;
    }
    const size_t close = list.find(']', i);
    if (close == std::string_view::npos) break;
    // "03-07,9": the first number, with its zeros.
    const std::string_view ranges = list.substr(i + 1, close - i - 1);
    const std::string_view first = ranges.substr(0, ranges.find_first_of("-,"));
    if (first.empty()) break;
    host += first;
    i = close + 1;
  }
  if (host.empty() || (i < list.size() && list[i] != ',')) {
    return absl::InvalidArgumentError(
        fmt::format("'{}' is not a list of hosts like node[03-07,9]", list));
  }
  return host;
}

}  // namespace tanren::comm
