#include "coordinator/client/node_text.h"

#include <map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "coordinator/client/job_text.h"
#include "coordinator/client/quantities.h"
#include "coordinator/client/table.h"
#include "fmt/format.h"
#include "runtime/base/machine.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kDayMs = 24LL * 3600 * 1000;
// How long before their end certificates are spoken of.
constexpr int64_t kWarnDays = 30;

std::string GpuName(const Node& node) { return node.gpus().empty() ? "" : node.gpus(0).name(); }

std::string UsedOf(double free, double all) { return fmt::format("{:g}/{:g}", all - free, all); }

std::string JobsText(const NodeUse& use) {
  std::vector<uint64_t> first(use.jobs().begin(),
                              use.jobs().begin() + std::min(use.jobs_size(), 4));
  const std::string more =
      use.jobs_size() > 4 ? fmt::format(" and {} more", use.jobs_size() - 4) : "";
  return absl::StrJoin(first, " ") + more;
}

std::string LabelsText(const Node& node) {
  const std::map<std::string, std::string> sorted(node.labels().begin(), node.labels().end());
  return absl::StrJoin(sorted, " ", absl::PairFormatter("="));
}

std::string EndsText(int64_t ends_ms, int64_t now_ms) {
  if (ends_ms <= now_ms) return "has ended";
  return fmt::format("ends in {} days", (ends_ms - now_ms) / kDayMs);
}

}  // namespace

std::string NodeStateText(const Node& node, int64_t now_ms) {
  std::string text = absl::AsciiStrToLower(Node::State_Name(node.state()));
  if (node.draining()) text += ", draining";
  if (!node.drain_reason().empty()) text += ": " + node.drain_reason();
  const int64_t ends = node.certificate_expires_ms();
  if (ends != 0 && ends - now_ms < kWarnDays * kDayMs) {
    text += ", its certificate " + EndsText(ends, now_ms);
  }
  return text;
}

std::string RenderNodes(const ListNodesReply& reply, int64_t now_ms, int width) {
  Table table({"NODE", "STATE", ">GPUS", "GPU", ">CORES", ">MEMORY FREE", "RACK", "LABELS", "JOBS",
               ">HEARD"});
  for (const NodeUse& use : reply.nodes()) {
    const Node& node = use.node();
    table.Add({node.name(), NodeStateText(node, now_ms),
               node.gpus().empty() ? "" : UsedOf(use.free().gpus(), node.gpus_size()),
               GpuName(node), UsedOf(use.free().cpu_millis() / 1000.0, node.cpu_millis() / 1000.0),
               FormatBytes(static_cast<uint64_t>(use.free().memory_bytes())), node.rack(),
               LabelsText(node), JobsText(use), FormatSince(use.heard_ms(), now_ms)});
  }
  return table.Render(width);
}

std::string DescribeStatus(const StatusReply& status, const std::string& address, int64_t now_ms) {
  std::string text =
      fmt::format("coordinator  {}, version {}, epoch {}, up {}\n", address, status.version(),
                  status.epoch(), FormatSince(status.started_ms(), now_ms));
  if (!status.accepting()) {
    text += fmt::format("takes no jobs: {}\n", ForTerminal(status.problem()));
  }
  if (const int64_t ends = status.certificate_expires_ms(); ends != 0) {
    text += fmt::format("certificate  {}{}\n", EndsText(ends, now_ms),
                        ends <= now_ms ? ": nobody connects any more" : "");
  }
  if (const int64_t ends = status.agent_certificate_expires_ms(); ends != 0) {
    text += fmt::format("agents       the first of their certificates, {}'s, {}\n",
                        ForTerminal(status.agent_certificate_node()), EndsText(ends, now_ms));
  }
  text += fmt::format("nodes        {} up, {} silent, {} lost\n", status.nodes_up(),
                      status.nodes_silent(), status.nodes_lost());
  text += fmt::format("capacity     {}\n", ResourcesText(status.capacity()));
  text += fmt::format("free         {}\n", ResourcesText(status.free()));
  const std::map<std::string, int64_t> states(status.jobs_by_state().begin(),
                                              status.jobs_by_state().end());
  std::vector<std::string> counts;
  for (const auto& [state, count] : states) {
    if (count != 0) counts.push_back(fmt::format("{} {}", count, absl::AsciiStrToLower(state)));
  }
  text += fmt::format("jobs         {}\n",
                      counts.empty() ? "none" : ForTerminal(absl::StrJoin(counts, ", ")));
  if (status.keep_ended_ms() != 0) {
    text += fmt::format("ended jobs   are kept for {}, at most {}\n",
                        FormatDuration(status.keep_ended_ms()), status.keep_ended_jobs());
  }
  return text;
}

}  // namespace tanren::coordinator
