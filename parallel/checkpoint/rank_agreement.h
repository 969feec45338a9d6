// What ranks tell each other beside tensors: whether all is well, and text. Collectives; failures
// of communication are thrown as tanren::Error.
#ifndef TANREN_PARALLEL_CHECKPOINT_RANK_AGREEMENT_H_
#define TANREN_PARALLEL_CHECKPOINT_RANK_AGREEMENT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "runtime/comm/communicator.h"

namespace tanren::parallel {

// OK on every rank if it is OK on all; else on every rank the error of the lowest rank that has
// one, with "rank 3: " before it where there are several ranks.
absl::Status AgreeOnStatus(comm::Communicator& world, const absl::Status& mine,
                           std::string_view unit);

// Rank `root`'s text on every rank.
std::string BroadcastText(comm::Communicator& world, const std::string& text, int root,
                          std::string_view unit);

// Every rank's text, by rank, on rank 0; nothing on others.
std::vector<std::string> GatherText(comm::Communicator& world, const std::string& text,
                                    std::string_view unit);

// Every rank's number, by rank, on every rank.
std::vector<int64_t> GatherNumbers(comm::Communicator& world, int64_t number,
                                   std::string_view unit);

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_CHECKPOINT_RANK_AGREEMENT_H_
