#include "coordinator/server/status_counts.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace tanren::coordinator {
namespace {

constexpr int64_t kEveryMs = 250;
// Counting takes at most this share of the thread.
constexpr int64_t kCostFactor = 50;

void Add(int64_t gpus, int64_t cpu_millis, int64_t memory, Resources& total) {
  total.set_gpus(static_cast<int32_t>(total.gpus() + gpus));
  total.set_cpu_millis(static_cast<int32_t>(total.cpu_millis() + cpu_millis));
  total.set_memory_bytes(total.memory_bytes() + memory);
}

}  // namespace

void StatusCounts::Count(const Cluster& cluster) {
  counted_.Clear();
  std::array<int64_t, JobState_ARRAYSIZE> jobs{};
  for (const auto& [id, job] : cluster.jobs) ++jobs[job.state()];
  for (int state = 0; state < JobState_ARRAYSIZE; ++state) {
    if (jobs[state] == 0 || !JobState_IsValid(state)) continue;
    (*counted_.mutable_jobs_by_state())[JobState_Name(static_cast<JobState>(state))] = jobs[state];
  }
  for (const auto& [name, node] : cluster.nodes) {
    if (node.state() == Node::UP) counted_.set_nodes_up(counted_.nodes_up() + 1);
    if (node.state() == Node::SILENT) counted_.set_nodes_silent(counted_.nodes_silent() + 1);
    if (node.state() == Node::LOST) counted_.set_nodes_lost(counted_.nodes_lost() + 1);
    if (node.state() == Node::LOST) continue;
    const int64_t ends = node.certificate_expires_ms();
    const int64_t first = counted_.agent_certificate_expires_ms();
    if (ends != 0 && (first == 0 || ends < first)) {
      counted_.set_agent_certificate_expires_ms(ends);
      counted_.set_agent_certificate_node(name);
    }
    Add(node.gpus_size(), node.cpu_millis(), node.memory_bytes(), *counted_.mutable_capacity());
    const auto load = cluster.loads.find(name);
    if (load == cluster.loads.end() || node.draining() || node.state() != Node::UP) continue;
    Add(load->second.gpus_free, load->second.cpu_millis_free, load->second.memory_free,
        *counted_.mutable_free());
  }
}

void StatusCounts::Fill(const Cluster& cluster, Now now, StatusReply& reply) {
  if (cluster.last_sequence != counted_sequence_ && now.steady_ms >= next_count_) {
    const auto begin = std::chrono::steady_clock::now();
    Count(cluster);
    const int64_t cost = std::chrono::duration_cast<std::chrono::milliseconds>(
                             std::chrono::steady_clock::now() - begin)
                             .count();
    counted_sequence_ = cluster.last_sequence;
    next_count_ = now.steady_ms + std::max(kEveryMs, cost * kCostFactor);
  }
  reply.MergeFrom(counted_);
}

}  // namespace tanren::coordinator
