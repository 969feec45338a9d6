// The network between nodes, users and the coordinator: it loses, delays, doubles and reorders.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_NETWORK_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_NETWORK_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "tests/coordinator/simulation/dice.h"
#include "tests/coordinator/simulation/event_queue.h"

namespace tanren::coordinator::simulation {

struct NetworkConditions {
  double loss = 0;
  double duplication = 0;
  double reordering = 0;  // otherwise what is sent first arrives first
  int64_t latency_us = 300;
  int64_t jitter_us = 700;  // mean of an exponential distribution
};

class Network {
 public:
  Network(EventQueue& queue, uint64_t seed, int nodes);

  // `arrive` is called once, twice or never.
  void ToCoordinator(int node, std::function<void()> arrive) { Send(up_[Index(node)], arrive); }
  void ToNode(int node, std::function<void()> arrive) { Send(down_[Index(node)], arrive); }
  // Users' calls and their answers.
  void OfUsers(std::function<void()> arrive) { Send(users_, arrive); }

  // Both count: a partition that begins while another lasts ends when both have.
  void Cut(int node, bool up, bool down);
  void Mend(int node, bool up, bool down);
  void MendAll();

  NetworkConditions conditions;

 private:
  struct Link {
    int cuts = 0;
    int64_t last_arrival_us = 0;
  };
  static size_t Index(int node) { return static_cast<size_t>(node); }
  void Send(Link& link, const std::function<void()>& arrive);
  void Deliver(Link& link, const std::function<void()>& arrive);

  EventQueue& queue_;
  Dice dice_;
  std::vector<Link> up_;
  std::vector<Link> down_;
  Link users_;
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_NETWORK_H_
