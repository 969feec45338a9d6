// Ranks as threads of one process: for tests and for tools on one machine.
#ifndef TANREN_RUNTIME_COMM_LOCAL_H_
#define TANREN_RUNTIME_COMM_LOCAL_H_

#include <functional>
#include <memory>
#include <vector>

#include "runtime/comm/communicator.h"

namespace tanren::comm {

// Runs `body` on `count` threads, each with its rank of one group, and returns when all have
// ended. A rank that throws aborts the group, so that the others' calls throw as well; then the
// first rank's exception is thrown here. Calls that differ between ranks are always noticed.
//   RunRanks(4, [](Communicator& world) { … });
void RunRanks(int count, const std::function<void(Communicator&)>& body);

// One communicator for each rank of a new group "world"; each is for a thread of its own.
std::vector<std::unique_ptr<Communicator>> LocalRanks(int count);

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_LOCAL_H_
