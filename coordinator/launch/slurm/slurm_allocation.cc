#include "coordinator/launch/slurm/slurm_allocation.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

constexpr size_t kMostNodes = 100'000;
constexpr size_t kLongestList = size_t{1} << 20;

absl::Status Wrong(absl::string_view what, absl::string_view text) {
  return absl::InvalidArgumentError(fmt::format("{}: can't be read: \"{}\"", std::string(what),
                                                std::string(text.substr(0, 200))));
}

bool ToCount(absl::string_view text, int32_t& count) {
  return !text.empty() && text.size() < 8 &&
         text.find_first_not_of("0123456789") == absl::string_view::npos &&
         absl::SimpleAtoi(text, &count);
}

// Cuts at commas that stand outside of brackets.
std::vector<absl::string_view> SplitOutside(absl::string_view text) {
  std::vector<absl::string_view> parts;
  size_t begin = 0;
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    depth += text[i] == '[' ? 1 : text[i] == ']' ? -1 : 0;
    if (text[i] == ',' && depth == 0) {
      parts.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  parts.push_back(text.substr(begin));
  return parts;
}

// "3" or "08-11" within brackets; numbers keep the width of the first.
absl::Status AddRange(absl::string_view prefix, absl::string_view range, absl::string_view suffix,
                      std::vector<std::string>& names) {
  const std::vector<absl::string_view> ends = absl::StrSplit(range, '-');
  int32_t first = 0, last = 0;
  if (ends.size() > 2 || !ToCount(ends[0], first) || !ToCount(ends.back(), last) || last < first) {
    return Wrong("node list", range);
  }
  if (names.size() + static_cast<size_t>(last - first) >= kMostNodes) {
    return absl::ResourceExhaustedError("node list: more than 100000 nodes");
  }
  for (int32_t i = first; i <= last; ++i) {
    names.push_back(
        fmt::format("{}{:0{}}{}", std::string(prefix), i, ends[0].size(), std::string(suffix)));
  }
  return absl::OkStatus();
}

// One name, with at most one pair of brackets.
absl::Status AddNames(absl::string_view part, std::vector<std::string>& names) {
  const size_t open = part.find('[');
  if (open == absl::string_view::npos) {
    if (part.empty() || part.find(']') != absl::string_view::npos) return Wrong("node list", part);
    names.emplace_back(part);
    return absl::OkStatus();
  }
  const size_t close = part.find(']', open);
  if (close == absl::string_view::npos || part.find('[', open + 1) != absl::string_view::npos) {
    return Wrong("node list", part);
  }
  for (absl::string_view range : absl::StrSplit(part.substr(open + 1, close - open - 1), ',')) {
    TANREN_RETURN_IF_ERROR(AddRange(part.substr(0, open), range, part.substr(close + 1), names));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<int32_t>> ParseTasksPerNode(absl::string_view text) {
  std::vector<int32_t> tasks;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    absl::string_view times = "1";
    if (const size_t open = part.find("(x"); open != absl::string_view::npos) {
      if (part.back() != ')') return Wrong("tasks per node", text);
      times = part.substr(open + 2, part.size() - open - 3);
      part = part.substr(0, open);
    }
    int32_t count = 0, nodes = 0;
    if (!ToCount(part, count) || !ToCount(times, nodes) || tasks.size() + nodes > kMostNodes) {
      return Wrong("tasks per node", text);
    }
    tasks.insert(tasks.end(), nodes, count);
  }
  return tasks;
}

absl::StatusOr<std::vector<std::string>> ParseNodeList(absl::string_view text) {
  if (text.size() > kLongestList) return Wrong("node list", text);
  std::vector<std::string> names;
  for (absl::string_view part : SplitOutside(text)) {
    TANREN_RETURN_IF_ERROR(AddNames(part, names));
  }
  return names;
}

absl::StatusOr<std::vector<NodeTasks>> ParseAllocation(absl::string_view nodes,
                                                       absl::string_view tasks_per_node) {
  TANREN_ASSIGN_OR_RETURN(const std::vector<std::string> names, ParseNodeList(nodes));
  TANREN_ASSIGN_OR_RETURN(const std::vector<int32_t> tasks, ParseTasksPerNode(tasks_per_node));
  if (names.size() != tasks.size()) {
    return absl::InvalidArgumentError(
        fmt::format("{} nodes, but tasks of {}", names.size(), tasks.size()));
  }
  std::vector<NodeTasks> allocation;
  for (size_t i = 0; i < names.size(); ++i) allocation.emplace_back(names[i], tasks[i]);
  return allocation;
}

absl::StatusOr<std::string> HostsOf(const std::vector<NodeTasks>& allocation, int32_t first,
                                    int32_t count) {
  std::vector<std::string> hosts;
  int32_t begin = 0;
  for (const auto& [node, tasks] : allocation) {
    const int32_t from = std::max(begin, first);
    const int32_t to = std::min(begin + tasks, first + count);
    if (from < to) hosts.push_back(fmt::format("{}:{}", node, to - from));
    begin += tasks;
  }
  if (first + count > begin) {
    return absl::FailedPreconditionError(
        fmt::format("the allocation has {} tasks, ranks {} to {} were wanted", begin, first,
                    first + count - 1));
  }
  return absl::StrJoin(hosts, ",");
}

int32_t TasksOn(const std::vector<NodeTasks>& allocation, const std::string& node, int32_t first,
                int32_t count) {
  int32_t begin = 0, found = 0;
  for (const auto& [name, tasks] : allocation) {
    const int32_t here = std::min(begin + tasks, first + count) - std::max(begin, first);
    if (name == node) found += std::max(0, here);
    begin += tasks;
  }
  return found;
}

}  // namespace tanren::coordinator
