// What every backend must do: bodies that run on each rank of a group of any size, with GoogleTest
// expectations. A backend's test runs all of them.
#ifndef TANREN_TESTS_RUNTIME_COMM_COMMUNICATOR_CONTRACT_H_
#define TANREN_TESTS_RUNTIME_COMM_COMMUNICATOR_CONTRACT_H_

#include <functional>
#include <string>
#include <vector>

#include "runtime/comm/communicator.h"

namespace tanren::comm {

struct ContractCase {
  std::string name;
  std::function<void(Communicator&)> body;
};

const std::vector<ContractCase>& ContractCases();

// Ranks call different things at one turn: every rank must get kInternal, naming both calls. For
// backends that compare calls; the group is of no use afterwards.
void ExpectMismatchIsNamed(Communicator& group);

}  // namespace tanren::comm

#endif  // TANREN_TESTS_RUNTIME_COMM_COMMUNICATOR_CONTRACT_H_
