// How a part ended, from how its processes did.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_PART_END_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_PART_END_H_

#include <optional>
#include <string>
#include <vector>

#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

// One process that counts: a rank, mpirun or its daemon (rank -1).
struct ProcessEnd {
  std::string role;
  int rank = -1;
  int exit_code = 0;
  int signal = 0;
  bool is_mpirun = false;  // which ends as the rank did that it saw fail first, and ends the others
  // Not empty: it couldn't be started, and this is why. `blame` then says whose fault it was.
  std::string refusal;
  AttemptEnd::Kind blame = AttemptEnd::KIND_UNSPECIFIED;
};

struct PartHistory {
  bool is_recipe = false;
  std::string node;
  std::vector<ProcessEnd> ends;  // in the order they were known
  StopReason stop = STOP_REASON_UNSPECIFIED;
  bool lease_passed = false;
  bool killed = false;    // we killed what lived after its grace
  std::string run_ended;  // what the run said of its end; empty: nothing
};

// Exit codes of tanren-worker (docs: 0 finished, 1 recipe or command line, 70 model, data or rank,
// 71 ended because of another rank, 75 saved); of any other program 0, 75 and the rest. Doesn't
// fill log_tail.
AttemptEnd EndOfPart(const PartHistory& history);

// The one that is to blame: the first that ended badly, unless mpirun knows better. `ends` as
// above.
std::optional<ProcessEnd> FirstBadEnd(const std::vector<ProcessEnd>& ends);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_PART_END_H_
