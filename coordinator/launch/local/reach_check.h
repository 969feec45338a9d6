// Whether this node reaches the others of its gang by TCP. Where it doesn't, mpirun's daemons and
// the ranks' first collective would wait for minutes, and nobody could say for whom.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_REACH_CHECK_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_REACH_CHECK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/launch/local/numeric_address.h"
#include "proto/launch.pb.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

// Longer than a lease and its grace, so that a machine that is gone is told of as that; and time
// enough for the kernel to ask four times.
inline constexpr int64_t kReachWithinMs = 20'000;

// A node that wasn't reached.
struct Unreached {
  std::string node;
  std::string where;  // "ADDRESS:PORT"
  std::string why;
};

// For one thread; never waits. Times are CLOCK_BOOTTIME, milliseconds.
class ReachCheck {
 public:
  // Of the part's gang, those nodes that say where they are reached.
  explicit ReachCheck(const SupervisorSpec& spec, int64_t within_ms = kReachWithinMs);

  // Goes on; to be called a few times a second. Whom an answer comes from is reached, also if it
  // is that nobody listens: the agent there may be starting anew.
  void Look(int64_t now_ms);
  // All are reached.
  bool is_done() const { return others_.empty(); }
  // The first that wasn't within the time; then the check is over.
  const std::optional<Unreached>& unreached() const { return unreached_; }

 private:
  struct Other {
    std::string node;
    std::string where;
    NumericAddress address;
    Descriptor socket;     // connecting
    int64_t begun_ms = 0;  // 0: not yet
    int64_t retry_ms = 0;
    std::string why = "no answer";
  };

  // Whether it is reached.
  bool Try(Other& other, int64_t now_ms);
  // After a connect() that ended so.
  bool Judge(Other& other, int error, int64_t now_ms);

  const int64_t within_ms_;
  std::vector<Other> others_;  // not reached so far
  std::optional<Unreached> unreached_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_REACH_CHECK_H_
