// Whether the ranks of a launch were started alike. One with another recipe or another program
// makes other calls than the rest: they would wait for each other, or take each other's numbers
// for what they aren't.
#ifndef TANREN_TRAINER_STARTED_ALIKE_H_
#define TANREN_TRAINER_STARTED_ALIKE_H_

#include <string>

#include "absl/status/status.h"
#include "proto/recipe.pb.h"
#include "runtime/comm/communicator.h"

namespace tanren::trainer {

struct StartedAs {
  std::string program;  // version and build
  std::string command;  // "train", "resume"
  Recipe recipe;        // resolved
};

// What `other` was started with instead of what `first` was, for people; empty where nothing
// differs. Of many settings that differ it shows the first ones.
std::string DifferenceOf(const StartedAs& first, const StartedAs& other);

// A collective. kFailedPrecondition, the same on every rank, where a rank differs from rank 0.
absl::Status CheckStartedAlike(comm::Communicator& ranks, const StartedAs& mine);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_STARTED_ALIKE_H_
