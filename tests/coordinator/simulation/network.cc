#include "tests/coordinator/simulation/network.h"

#include <algorithm>

namespace tanren::coordinator::simulation {

Network::Network(EventQueue& queue, uint64_t seed, int nodes)
    : queue_(queue),
      dice_(seed, Purpose::kNetwork),
      up_(static_cast<size_t>(nodes)),
      down_(static_cast<size_t>(nodes)) {}

void Network::Send(Link& link, const std::function<void()>& arrive) {
  Deliver(link, arrive);
  if (dice_.Chance(conditions.duplication)) Deliver(link, arrive);
}

void Network::Deliver(Link& link, const std::function<void()>& arrive) {
  if (link.cuts > 0 || dice_.Chance(conditions.loss)) return;
  int64_t at = queue_.now_us() + conditions.latency_us +
               dice_.Exponential(static_cast<double>(conditions.jitter_us));
  if (!dice_.Chance(conditions.reordering)) {
    at = std::max(at, link.last_arrival_us + 1);
    link.last_arrival_us = at;
  } else {
    at += dice_.Between(0, 20 * conditions.jitter_us);
  }
  queue_.At(at, [&link, arrive] {
    // What is under way when a cable is pulled is lost too.
    if (link.cuts == 0) arrive();
  });
}

void Network::Cut(int node, bool up, bool down) {
  if (up) ++up_[Index(node)].cuts;
  if (down) ++down_[Index(node)].cuts;
}

void Network::Mend(int node, bool up, bool down) {
  if (up && up_[Index(node)].cuts > 0) --up_[Index(node)].cuts;
  if (down && down_[Index(node)].cuts > 0) --down_[Index(node)].cuts;
}

void Network::MendAll() {
  for (Link& link : up_) link.cuts = 0;
  for (Link& link : down_) link.cuts = 0;
  conditions = {};
}

}  // namespace tanren::coordinator::simulation
