#include "tests/coordinator/simulation/spools.h"

#include <algorithm>

namespace tanren::coordinator::simulation {
namespace {

// As a real spool: the oldest quarter goes when it is full.
constexpr uint64_t kLimit = 4096;
constexpr uint64_t kQuarter = kLimit / 4;
// What is written at once.
constexpr int64_t kLine = 100;

}  // namespace

char LogByte(const AttemptToken& token, uint64_t offset) {
  const uint64_t mixed =
      (token.job() * 31 + token.attempt() * 7 + token.epoch()) * 2654435761u + offset * 40503u;
  return static_cast<char>(mixed >> 8);
}

void Spools::Write(Spool& spool) const {
  if (!spool.is_open) return;
  const int64_t bytes = (queue_.now_us() - spool.written_us) * spool.rate / kSecond / kLine * kLine;
  if (bytes <= 0) return;
  spool.end += static_cast<uint64_t>(bytes);
  spool.written_us += bytes * kSecond / spool.rate;
  if (spool.end - spool.begin > kLimit) {
    spool.begin = (spool.end - kLimit + kQuarter - 1) / kQuarter * kQuarter;
  }
}

void Spools::Open(const AttemptToken& token, int64_t bytes_per_second) {
  Spool& spool = spools_[KeyOf(token)];
  spool.rate = std::max<int64_t>(1, bytes_per_second);
  spool.written_us = queue_.now_us();
  spool.is_open = true;
}

void Spools::Close(const AttemptToken& token) {
  const auto it = spools_.find(KeyOf(token));
  if (it == spools_.end()) return;
  Write(it->second);
  it->second.is_open = false;
}

void Spools::CutOpen(Dice& dice) {
  for (auto& [key, spool] : spools_) {
    if (!spool.is_open) continue;
    Write(spool);
    spool.is_open = false;
    spool.end -= std::min(spool.end - spool.begin, static_cast<uint64_t>(dice.Between(0, 100)));
  }
}

absl::StatusOr<LogChunk> Spools::ReadLog(const ReadLogChunk& request) {
  const auto it = spools_.find(KeyOf(request.token()));
  if (it == spools_.end()) return absl::NotFoundError("nothing was written");
  Spool& spool = it->second;
  Write(spool);
  LogChunk chunk;
  const uint64_t begin = std::max(request.offset(), spool.begin);
  chunk.set_offset(begin);
  chunk.set_gap(begin > request.offset());
  const uint64_t left = spool.end > begin ? spool.end - begin : 0;
  const uint64_t size = std::min(left, static_cast<uint64_t>(request.limit()));
  for (uint64_t i = 0; i < size; ++i) {
    chunk.mutable_data()->push_back(LogByte(request.token(), begin + i));
  }
  chunk.set_end(!spool.is_open && size == left);
  return chunk;
}

}  // namespace tanren::coordinator::simulation
