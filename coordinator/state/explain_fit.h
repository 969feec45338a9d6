// Why a gang doesn't fit, and what of it would.
#ifndef TANREN_COORDINATOR_STATE_EXPLAIN_FIT_H_
#define TANREN_COORDINATOR_STATE_EXPLAIN_FIT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/state/placement.h"
#include "proto/job.pb.h"

namespace tanren::coordinator {

// Whether the gang fits; the board stays as it is.
bool Fits(const Shape& shape, Board& board);
// The most ranks of its role number `role` with which the gang would fit; 0: not even with one.
int64_t MostRanks(const Shape& shape, int role, Board& board);
// What the nodes that the gang may use have free in all.
Amount FreeInAll(const Shape& shape, Board& board);
// The most that one of them has free, of each kind by itself.
Amount FreeOnOne(const Shape& shape, Board& board);
bool IsEnough(const Amount& free, const Amount& wanted);

struct FitText {
  std::string why;         // follows "asks for …; ": "the 4 nodes that it may use hold 32 ranks"
  std::string would_help;  // without a full stop; may be empty
};

// Of a gang that doesn't fit on a board whose nodes are empty.
FitText WhyNever(const JobSpec& spec, const Shape& shape, Board& board);
// "lower --gpus to 8": the largest of its kind that fits on `board`; empty: none does.
std::string SmallerThatFits(const JobSpec& spec, const Shape& shape, Board& board);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_EXPLAIN_FIT_H_
