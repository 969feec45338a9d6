#include "coordinator/launch/local/numa.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "coordinator/launch/process_table.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> NamesIn(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// "0-3,8-11"
std::vector<int> NumbersOf(absl::string_view list) {
  constexpr int kMostCpus = 1 << 16;
  std::vector<int> numbers;
  for (const absl::string_view range : absl::StrSplit(absl::StripAsciiWhitespace(list), ',')) {
    const std::vector<std::string> ends = absl::StrSplit(range, '-');
    int first = 0;
    int last = 0;
    if (!absl::SimpleAtoi(ends.front(), &first) || !absl::SimpleAtoi(ends.back(), &last)) continue;
    for (int cpu = first; cpu <= std::min(last, kMostCpus); ++cpu) numbers.push_back(cpu);
  }
  return numbers;
}

}  // namespace

std::vector<int> CpusNearGpu(int gpu, const fs::path& root) {
  const std::vector<std::string> gpus = NamesIn(root / "proc/driver/nvidia/gpus");
  if (gpu < 0 || gpu >= static_cast<int>(gpus.size())) return {};
  const fs::path nodes = root / "sys/devices/system/node";
  int count = 0;
  for (const std::string& name : NamesIn(nodes)) {
    count += name.size() > 4 && name.starts_with("node") && std::isdigit(name[4]) != 0 ? 1 : 0;
  }
  int node = -1;
  const std::string text = ProcText(root / "sys/bus/pci/devices" / gpus[gpu] / "numa_node");
  if (count < 2 || !absl::SimpleAtoi(text, &node) || node < 0) return {};
  return NumbersOf(ProcText(nodes / fmt::format("node{}", node) / "cpulist"));
}

int FirstGpuOf(const std::vector<int>& gpus, int ranks, int local_rank) {
  if (gpus.empty() || ranks <= 0 || local_rank < 0 || local_rank >= ranks) return -1;
  const size_t at = gpus.size() * static_cast<size_t>(local_rank) / static_cast<size_t>(ranks);
  return gpus[at];
}

}  // namespace tanren::coordinator
