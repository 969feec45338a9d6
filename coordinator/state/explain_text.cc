#include "coordinator/state/explain_text.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

constexpr size_t kMostListed = 5;

}  // namespace

Explanation Say(Explanation::Reason reason, std::string text, std::string would_help) {
  const auto sentence = [](std::string words) {
    if (!words.empty() && words.back() != '.') words += '.';
    if (!words.empty() && words[0] >= 'a' && words[0] <= 'z') words[0] -= 'a' - 'A';
    return words;
  };
  Explanation explanation;
  explanation.set_reason(reason);
  explanation.set_text(sentence(std::move(text)));
  explanation.set_what_would_help(sentence(std::move(would_help)));
  return explanation;
}

std::string CountText(int64_t count, const std::string& singular, const std::string& plural) {
  return fmt::format("{} {}", count, count == 1 ? singular : plural);
}

std::string CoresText(int64_t cpu_millis) {
  if (cpu_millis % 1000 == 0) return CountText(cpu_millis / 1000, "core", "cores");
  return fmt::format("{:g} cores", static_cast<double>(cpu_millis) / 1000);
}

std::string MemoryText(int64_t bytes) {
  const char* const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double size = static_cast<double>(bytes);
  int unit = 0;
  while (size >= 1024 && unit < 4) {
    size /= 1024;
    ++unit;
  }
  return fmt::format("{:.4g} {}", size, units[unit]);
}

std::string DurationText(int64_t ms) {
  const int64_t seconds = (std::max<int64_t>(ms, 0) + 999) / 1000;
  if (seconds < 60) return fmt::format("{} s", seconds);
  const int64_t minutes = (seconds + 59) / 60;
  if (minutes < 60) return fmt::format("{} min", minutes);
  const int64_t hours = minutes / 60;
  if (hours < 24) {
    return minutes % 60 == 0 ? fmt::format("{} h", hours)
                             : fmt::format("{} h {} min", hours, minutes % 60);
  }
  return hours % 24 == 0 ? fmt::format("{} d", hours / 24)
                         : fmt::format("{} d {} h", hours / 24, hours % 24);
}

std::string ListText(const std::vector<std::string>& items) {
  std::string text;
  const size_t shown = items.size() > kMostListed + 1 ? kMostListed : items.size();
  for (size_t i = 0; i < shown; ++i) {
    if (i > 0) text += i + 1 == items.size() ? " and " : ", ";
    text += items[i];
  }
  if (shown < items.size()) text += fmt::format(" and {} others", items.size() - shown);
  return text;
}

std::string AmountText(const Amount& amount) {
  std::vector<std::string> items;
  if (amount.gpus > 0) items.push_back(CountText(amount.gpus, "GPU", "GPUs"));
  if (amount.cpu_millis > 0) items.push_back(CoresText(amount.cpu_millis));
  if (amount.memory_bytes > 0) items.push_back(MemoryText(amount.memory_bytes) + " of memory");
  return items.empty() ? "nothing" : ListText(items);
}

std::string JobsText(const std::vector<uint64_t>& jobs) {
  std::vector<std::string> items;
  for (uint64_t job : jobs) items.push_back(std::to_string(job));
  return (jobs.size() == 1 ? "job " : "jobs ") + ListText(items);
}

std::string DemandText(const JobSpec& spec) {
  std::vector<std::string> items;
  for (const Role& role : spec.roles()) {
    std::string item = CountText(role.ranks(), "rank", "ranks");
    const Amount each = AmountOf(role.per_rank());
    if (each.gpus > 0 || each.cpu_millis > 0 || each.memory_bytes > 0) {
      item += " of " + AmountText(each);
    }
    if (spec.roles_size() > 1) item = fmt::format("{} for {}", item, role.name());
    if (role.max_ranks_per_node() > 0) {
      item += fmt::format(" (at most {} on a node)", role.max_ranks_per_node());
    }
    items.push_back(std::move(item));
  }
  return ListText(items);
}

std::string UnusableNodeText(const Node& node) {
  if (node.state() == Node::LOST) return node.name() + " (lost)";
  if (node.state() == Node::SILENT) return node.name() + " (silent)";
  if (!node.draining()) return node.name();
  return node.drain_reason().empty()
             ? node.name() + " (draining)"
             : fmt::format("{} (draining: {})", node.name(), node.drain_reason());
}

}  // namespace tanren::coordinator
