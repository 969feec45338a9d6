// Many agents and log followers of one coordinator, in one process and few threads.
#ifndef TANREN_BENCHMARKS_COORDINATOR_STREAMING_PEERS_H_
#define TANREN_BENCHMARKS_COORDINATOR_STREAMING_PEERS_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/wire/channel.h"

namespace tanren::coordinator {

// Agents take what they are ordered for running, report every 2 s, and answer a question about a
// log with a line of 100 bytes each second.
class StreamingPeers {
 public:
  StreamingPeers();
  // Ends all streams.
  ~StreamingPeers();

  void AddAgent(const Channel& channel, const std::string& node);
  void AddFollower(const Channel& channel, uint64_t job);

  int agents_open() const { return agents_open_; }
  int followers_open() const { return followers_open_; }
  int64_t orders() const { return orders_; }
  int64_t bytes() const { return bytes_; }

 private:
  class Agent;
  class Follower;
  void Beat();

  std::atomic<int> agents_open_ = 0;
  std::atomic<int> followers_open_ = 0;
  std::atomic<int64_t> orders_ = 0;
  std::atomic<int64_t> bytes_ = 0;
  std::mutex mutex_;
  std::condition_variable ending_changed_;
  bool ending_ = false;
  std::vector<std::unique_ptr<Agent>> agents_;
  std::vector<std::unique_ptr<Follower>> followers_;
  std::thread beat_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_BENCHMARKS_COORDINATOR_STREAMING_PEERS_H_
