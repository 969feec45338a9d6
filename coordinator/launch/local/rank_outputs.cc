#include "coordinator/launch/local/rank_outputs.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "absl/status/status.h"

namespace tanren::coordinator {
namespace {

constexpr size_t kPiece = 64 << 10;
// So that a rank that writes without pause doesn't keep the supervisor from its other duties.
constexpr int kReadsInTurn = 16;
constexpr int kReadsToTheEnd = 1 << 20;

}  // namespace

LogSpool& RankOutputs::SpoolOf(const std::string& role, int rank) {
  const auto key = std::make_pair(role, rank);
  const auto it = spools_.find(key);
  if (it != spools_.end()) return it->second;
  return spools_.emplace(key, LogSpool(LogPath(logs_, role, rank), limit_bytes_)).first->second;
}

absl::StatusOr<Descriptor> RankOutputs::Open(const std::string& role, int rank) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "no pipe for a rank's output");
  // Only this end: the rank's own waits when the pipe is full.
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  Descriptor write_end(ends[1]);
  LogSpool& spool = SpoolOf(role, rank);
  const auto pipe = pipes_.emplace(pipes_.end(), Descriptor(ends[0]), &spool);
  polls_.Add(ends[0], [this, pipe] {
    if (Pump(pipe->first, *pipe->second, kReadsInTurn)) return;
    polls_.Remove(pipe->first.get());
    pipes_.erase(pipe);
  });
  return write_end;
}

bool RankOutputs::Pump(const Descriptor& pipe, LogSpool& spool, int reads) {
  char piece[kPiece];
  for (int i = 0; i < reads; ++i) {
    const ssize_t size = read(pipe.get(), piece, sizeof(piece));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    if (size == 0) return false;
    spool.Append(std::string_view(piece, static_cast<size_t>(size)));
  }
  return true;
}

void RankOutputs::Drain() {
  for (auto& [pipe, spool] : pipes_) {
    Pump(pipe, *spool, kReadsToTheEnd);
    polls_.Remove(pipe.get());
  }
  pipes_.clear();
}

void RankOutputs::Say(const std::string& role, int rank, const std::string& text) {
  SpoolOf(role, rank).Append("tanren: " + text + "\n");
}

}  // namespace tanren::coordinator
