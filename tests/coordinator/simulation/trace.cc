#include "tests/coordinator/simulation/trace.h"

#include <algorithm>
#include <vector>

#include "fmt/format.h"

namespace tanren::coordinator::simulation {

void Trace::Mix(uint64_t value) {
  hash_ ^= value;
  hash_ *= 1099511628211u;
  hash_ ^= hash_ >> 29;
}

void Trace::Add(int64_t time_us, std::string_view what, int node, uint64_t job, uint32_t attempt,
                int64_t detail) {
  Mix(static_cast<uint64_t>(time_us));
  for (const char c : what) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 1099511628211u;
  Mix(static_cast<uint64_t>(node));
  Mix(job);
  Mix(attempt);
  Mix(static_cast<uint64_t>(detail));
  entries_[count_++ % kKept] = {time_us, what, node, job, attempt, detail};
}

std::string Trace::Tail(int lines, uint64_t job) const {
  std::vector<std::string> tail;
  const uint64_t oldest = count_ > kKept ? count_ - kKept : 0;
  for (uint64_t i = count_; i > oldest && static_cast<int>(tail.size()) < lines; --i) {
    const Entry& entry = entries_[(i - 1) % kKept];
    // What is of no job (crashes, partitions) explains all of them.
    if (job != 0 && entry.job != job && (entry.job != 0 || entry.what.starts_with("report"))) {
      continue;
    }
    std::string line =
        fmt::format("{:12.6f}s  {}", static_cast<double>(entry.time_us) / 1e6, entry.what);
    if (entry.node >= 0) line += fmt::format("  n{}", entry.node);
    if (entry.job != 0) line += fmt::format("  job {}", entry.job);
    if (entry.attempt != 0) line += fmt::format(" attempt {}", entry.attempt);
    if (entry.detail != 0) line += fmt::format("  [{}]", entry.detail);
    tail.push_back(line + "\n");
  }
  std::string text;
  for (auto it = tail.rbegin(); it != tail.rend(); ++it) text += *it;
  return text;
}

}  // namespace tanren::coordinator::simulation
