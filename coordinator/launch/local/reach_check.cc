#include "coordinator/launch/local/reach_check.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "coordinator/state/cluster.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

// Of a gang of a thousand nodes not all sockets are open at once.
constexpr size_t kAtOnce = 64;
constexpr int64_t kRetryMs = 1'000;

std::vector<std::string> NodesOfGang(const PartSpec& part) {
  Attempt attempt;
  *attempt.mutable_placements() = part.placements();
  return NodesOf(attempt);
}

}  // namespace

ReachCheck::ReachCheck(const SupervisorSpec& spec, int64_t within_ms) : within_ms_(within_ms) {
  std::vector<std::string> nodes = NodesOfGang(spec.part());
  // Each begins behind itself: else all would ask the first at once.
  const auto own = std::find(nodes.begin(), nodes.end(), spec.node());
  if (own != nodes.end()) std::rotate(nodes.begin(), own, nodes.end());
  for (const std::string& node : nodes) {
    const auto reach = spec.part().reach().find(node);
    if (node == spec.node() || reach == spec.part().reach().end()) continue;
    absl::StatusOr<NumericAddress> address = ParseAddress(reach->second);
    if (!address.ok()) continue;  // of a version that writes it otherwise
    Other& other = others_.emplace_back();
    other.node = node;
    other.where = reach->second;
    other.address = *address;
  }
}

void ReachCheck::Look(int64_t now_ms) {
  if (unreached_.has_value()) return;
  size_t tried = 0;
  std::erase_if(others_, [&](Other& other) { return tried++ < kAtOnce && Try(other, now_ms); });
  for (const Other& other : others_) {
    if (other.begun_ms == 0 || now_ms - other.begun_ms < within_ms_) continue;
    unreached_ = {other.node, other.where,
                  fmt::format("{} within {} s", other.why, within_ms_ / 1000)};
    others_.clear();
    return;
  }
}

bool ReachCheck::Try(Other& other, int64_t now_ms) {
  if (other.begun_ms == 0) other.begun_ms = now_ms;
  if (!other.socket.is_open()) {
    if (now_ms < other.retry_ms) return false;
    other.socket =
        Descriptor(socket(other.address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int connected = connect(other.socket.get(), other.address.get(), other.address.size);
    if (connected != 0 && errno == EINPROGRESS) return false;
    return Judge(other, connected == 0 ? 0 : errno, now_ms);
  }
  pollfd ready = {other.socket.get(), POLLOUT, 0};
  if (poll(&ready, 1, 0) <= 0) return false;
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(other.socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return Judge(other, error, now_ms);
}

bool ReachCheck::Judge(Other& other, int error, int64_t now_ms) {
  if (error == 0 || error == ECONNREFUSED) return true;
  other.socket.Close();
  other.retry_ms = now_ms + kRetryMs;
  other.why = error == ETIMEDOUT ? "no answer" : strerror(error);
  return false;
}

}  // namespace tanren::coordinator
