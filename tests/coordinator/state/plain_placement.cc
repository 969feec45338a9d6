#include "tests/coordinator/state/plain_placement.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <tuple>

namespace tanren::coordinator {
namespace {

constexpr int kNoHosts = std::numeric_limits<int>::max();
constexpr int kRacksTried = 8;

struct Host {
  int node;
  int rack;
  bool excluded;
  NodeFree free;
};
using Hosts = std::vector<Host>;

class PlainSearch {
 public:
  PlainSearch(const RoleShape& role, const NodeTable& nodes) : role_(role), nodes_(nodes) {}

  PlainPlaces Find(const Hosts& hosts) const {
    if (role_.ranks <= role_.most_per_node) {
      const int one = BestHost(hosts, role_.ranks, AnyRack(hosts));
      if (one >= 0) return {{hosts[one].node, role_.ranks}};
    }
    int fewest = FewestHosts(hosts);
    if (fewest == kNoHosts) return {};
    if (role_.per_rank.gpus == 0) {
      const PlainPlaces anywhere = Fill(hosts, RacksEmptiestFirst(hosts), kNoHosts);
      if (anywhere.empty() || InOneRack(hosts, anywhere)) return anywhere;
      fewest = static_cast<int>(anywhere.size());
    }
    const PlainPlaces in_one = InTheClosestRack(hosts, fewest);
    return in_one.empty() ? Fill(hosts, RacksEmptiestFirst(hosts), kNoHosts) : in_one;
  }

 private:
  static std::set<int> AnyRack(const Hosts& hosts) {
    std::set<int> racks;
    for (const Host& host : hosts) racks.insert(host.rack);
    return racks;
  }

  static bool InOneRack(const Hosts& hosts, const PlainPlaces& places) {
    std::set<int> racks;
    for (const Host& host : hosts) {
      for (const auto& [node, ranks] : places) {
        if (node == host.node) racks.insert(host.rack);
      }
    }
    return racks.size() == 1;
  }

  // The one with the fewest free GPUs that holds so many ranks, first within one island.
  int BestHost(const Hosts& hosts, int64_t ranks, const std::set<int>& racks) const {
    const Amount need = role_.per_rank * ranks;
    for (const int64_t island : {need.gpus, int64_t{0}}) {
      int best = -1;
      for (int i = 0; i < static_cast<int>(hosts.size()); ++i) {
        const NodeFree& free = hosts[i].free;
        if (hosts[i].excluded || !racks.contains(hosts[i].rack)) continue;
        if (free.gpu_count < need.gpus || free.cpu_millis < need.cpu_millis ||
            free.memory_bytes < need.memory_bytes || free.island_gpus < island) {
          continue;
        }
        if (best < 0 || free.gpu_count < hosts[best].free.gpu_count) best = i;
      }
      if (best >= 0) return best;
      if (need.gpus <= 1 || !nodes_.any_islands()) break;
    }
    return -1;
  }

  // By GPUs alone: the emptiest are filled first.
  int FewestHosts(Hosts hosts) const {
    std::stable_sort(hosts.begin(), hosts.end(), [](const Host& a, const Host& b) {
      return a.free.gpu_count > b.free.gpu_count;
    });
    int64_t ranks = role_.ranks;
    int count = 0;
    for (const Host& host : hosts) {
      if (ranks <= 0) break;
      const int64_t each = role_.per_rank.gpus;
      const int64_t fit = each > 0 ? host.free.gpu_count / each : ranks;
      if (fit == 0) break;
      ranks -= std::min({fit, role_.most_per_node, ranks});
      ++count;
    }
    return ranks > 0 ? kNoHosts : count;
  }

  // (room, rack): free GPUs, or nodes where GPUs don't matter.
  std::vector<std::pair<int64_t, int>> Rooms(const Hosts& hosts) const {
    std::map<int, int64_t> rooms;
    for (const Host& host : hosts) {
      rooms[host.rack] += role_.per_rank.gpus > 0 ? host.free.gpu_count : 1;
    }
    std::vector<std::pair<int64_t, int>> sorted;
    for (const auto& [rack, room] : rooms) sorted.emplace_back(room, rack);
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  }

  std::vector<int> RacksEmptiestFirst(const Hosts& hosts) const {
    auto rooms = Rooms(hosts);
    std::sort(rooms.begin(), rooms.end(), [](const auto& a, const auto& b) {
      return std::pair(-a.first, a.second) < std::pair(-b.first, b.second);
    });
    std::vector<int> racks;
    for (const auto& [room, rack] : rooms) racks.push_back(rack);
    return racks;
  }

  // The fullest that holds all on so few hosts; only so many are tried.
  PlainPlaces InTheClosestRack(const Hosts& hosts, int fewest) const {
    int tried = 0;
    for (const auto& [room, rack] : Rooms(hosts)) {
      Hosts here;
      for (const Host& host : hosts) {
        if (host.rack == rack) here.push_back(host);
      }
      if (static_cast<int>(here.size()) == static_cast<int>(hosts.size())) return {};
      if (static_cast<int>(here.size()) < fewest || FewestHosts(here) > fewest) continue;
      if (tried++ == kRacksTried) return {};
      const PlainPlaces places = Fill(hosts, {rack}, fewest);
      if (!places.empty()) return places;
    }
    return {};
  }

  // The hosts that hold the most ranks first, rack after rack.
  PlainPlaces Fill(Hosts hosts, const std::vector<int>& racks, int most_hosts) const {
    PlainPlaces places;
    int64_t left = role_.ranks;
    for (int64_t on_one = std::min(role_.most_per_node, left); on_one > 0; --on_one) {
      for (const int rack : racks) {
        while (left > 0 && static_cast<int>(places.size()) < most_hosts) {
          const int64_t now = std::min(on_one, left);
          const int host = BestHost(hosts, now, {rack});
          if (host < 0) break;
          places.emplace_back(hosts[host].node, now);
          left -= now;
          TakeFrom(hosts[host], now);
        }
      }
    }
    return left == 0 ? places : PlainPlaces{};
  }

  void TakeFrom(Host& host, int64_t ranks) const {
    const Amount taken = role_.per_rank * ranks;
    host.excluded |= role_.most_per_node < role_.ranks;
    if (taken.gpus > 0) {
      for (int position :
           SelectGpus(host.free.gpus, nodes_.islands(host.node), ranks, role_.per_rank.gpus)) {
        host.free.gpus &= ~(uint64_t{1} << position);
      }
    }
    host.free.gpu_count -= static_cast<int32_t>(taken.gpus);
    host.free.cpu_millis -= taken.cpu_millis;
    host.free.memory_bytes -= taken.memory_bytes;
    host.free.island_gpus = nodes_.IslandGpus(host.node, host.free.gpus);
  }

  const RoleShape& role_;
  const NodeTable& nodes_;
};

}  // namespace

PlainPlaces PlacePlainly(const Shape& shape, const ShapeTable& shapes, const Board& board) {
  const std::set<int> excluded(shape.excluded.begin(), shape.excluded.end());
  Hosts hosts;
  for (int node : shapes.NodesWith(shape.labels)) {
    if (!board.usable(node)) continue;
    hosts.push_back({node, board.nodes()[node].rack, excluded.contains(node), board.free()[node]});
  }
  return PlainSearch(shape.roles[0], board.nodes()).Find(hosts);
}

}  // namespace tanren::coordinator
