#include "runtime/base/kernel_files.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "runtime/base/file.h"

namespace tanren {
namespace {

namespace fs = std::filesystem;

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// The pieces between separators, trimmed, without empty ones.
std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    if (const std::string_view piece = Trim(text.substr(0, end)); !piece.empty()) {
      pieces.push_back(piece);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return pieces;
}

template <typename T>
std::optional<T> ParseNumber(std::string_view text) {
  text = Trim(text);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "key : value" or "key value unit"; the second is empty where there is no separator.
std::pair<std::string_view, std::string_view> KeyAndValue(std::string_view line, char separator) {
  const size_t at = line.find(separator);
  if (at == std::string_view::npos) return {Trim(line), {}};
  return {Trim(line.substr(0, at)), Trim(line.substr(at + 1))};
}

template <typename T>
void KeepSmaller(std::optional<T>& kept, std::optional<T> other) {
  if (other && (!kept || *other < *kept)) kept = other;
}

// The file's text, or nothing: a group need not have every file.
std::string TextOf(const fs::path& path) { return ReadFile(path, 1 << 20).value_or(""); }

uint64_t DroppableFilePages(std::string_view memory_stat) {
  for (const std::string_view line : Split(memory_stat, '\n')) {
    const auto [key, value] = KeyAndValue(line, ' ');
    if (key == "inactive_file" || key == "total_inactive_file") {
      return ParseNumber<uint64_t>(value).value_or(0);
    }
  }
  return 0;
}

// The group's folder under its controller's mount, and every folder around it.
std::vector<fs::path> FoldersAround(const fs::path& mount, std::string_view group) {
  std::vector<fs::path> folders = {mount};
  for (const std::string_view name : Split(group, '/')) {
    if (name == "..") return {mount};  // a group outside this namespace
    folders.push_back(folders.back() / std::string(name));
  }
  return folders;
}

void AddMemory(const fs::path& folder, const char* limit_file, const char* usage_file,
               CgroupLimits& limits) {
  const std::optional<uint64_t> limit = ParseMemoryLimit(TextOf(folder / limit_file));
  if (!limit || (limits.memory && *limits.memory <= *limit)) return;
  limits.memory = limit;
  const uint64_t used = ParseNumber<uint64_t>(TextOf(folder / usage_file)).value_or(0);
  limits.memory_used = used - std::min(used, DroppableFilePages(TextOf(folder / "memory.stat")));
}

}  // namespace

bool CpuInfo::Has(std::string_view flag) const {
  return std::binary_search(flags.begin(), flags.end(), flag);
}

CpuInfo ParseCpuInfo(std::string_view text) {
  CpuInfo info;
  std::set<std::string_view> sockets;
  std::set<std::pair<std::string_view, std::string_view>> cores;  // (socket, core)
  std::string_view socket;
  for (const std::string_view line : Split(text, '\n')) {
    const auto [key, value] = KeyAndValue(line, ':');
    if (key == "processor") {
      ++info.logical_cores;
    } else if (key == "model name" && info.model.empty()) {
      info.model = value;
    } else if (key == "physical id") {
      socket = value;
      sockets.insert(value);
    } else if (key == "core id") {
      cores.emplace(socket, value);
    } else if (key == "flags" && info.flags.empty()) {
      for (const std::string_view flag : Split(value, ' ')) info.flags.emplace_back(flag);
      std::sort(info.flags.begin(), info.flags.end());
    }
  }
  info.sockets = static_cast<int>(sockets.size());
  info.physical_cores = static_cast<int>(cores.size());
  return info;
}

MemoryInfo ParseMemoryInfo(std::string_view text) {
  MemoryInfo info;
  for (const std::string_view line : Split(text, '\n')) {
    const auto [key, value] = KeyAndValue(line, ':');
    // Every size there is in kB, by which the kernel means 1024 bytes.
    const uint64_t bytes = ParseNumber<uint64_t>(KeyAndValue(value, ' ').first).value_or(0) * 1024;
    if (key == "MemTotal") info.total = bytes;
    if (key == "MemAvailable") info.available = bytes;
    if (key == "Hugetlb") info.huge_pages = bytes;
  }
  return info;
}

std::string ParseBracketed(std::string_view text) {
  const size_t open = text.find('['), close = text.find(']');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return {};
  return std::string(text.substr(open + 1, close - open - 1));
}

std::optional<double> ParseCpuMax(std::string_view text) {
  const auto [quota, period] = KeyAndValue(Trim(text), ' ');
  return ParseCfsQuota(quota, period);  // "max" is not a number, so it is no limit
}

std::optional<double> ParseCfsQuota(std::string_view quota, std::string_view period) {
  const auto quota_us = ParseNumber<int64_t>(quota), period_us = ParseNumber<int64_t>(period);
  if (!quota_us || !period_us || *quota_us <= 0 || *period_us <= 0) return std::nullopt;
  return static_cast<double>(*quota_us) / static_cast<double>(*period_us);
}

std::optional<uint64_t> ParseMemoryLimit(std::string_view text) {
  // v1 writes "no limit" as the largest number of whole pages in a signed 64-bit integer.
  constexpr uint64_t kNoLimit = uint64_t{1} << 62;
  const auto bytes = ParseNumber<uint64_t>(text);
  return bytes && *bytes < kNoLimit ? bytes : std::nullopt;
}

CgroupLimits ReadCgroupLimits(std::string_view membership, const fs::path& mount) {
  CgroupLimits limits;
  for (const std::string_view line : Split(membership, '\n')) {
    // hierarchy-id:controller,controller:/group; v2 has no controllers.
    const auto [id, rest] = KeyAndValue(line, ':');
    const auto [controllers, group] = KeyAndValue(rest, ':');
    if (controllers.empty()) {
      for (const fs::path& folder : FoldersAround(mount, group)) {
        KeepSmaller(limits.cores, ParseCpuMax(TextOf(folder / "cpu.max")));
        AddMemory(folder, "memory.max", "memory.current", limits);
      }
      continue;
    }
    for (const std::string_view controller : Split(controllers, ',')) {
      for (const fs::path& folder : FoldersAround(mount / std::string(controller), group)) {
        if (controller == "cpu") {
          KeepSmaller(limits.cores, ParseCfsQuota(TextOf(folder / "cpu.cfs_quota_us"),
                                                  TextOf(folder / "cpu.cfs_period_us")));
        } else if (controller == "memory") {
          AddMemory(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", limits);
        }
      }
    }
  }
  return limits;
}

}  // namespace tanren
