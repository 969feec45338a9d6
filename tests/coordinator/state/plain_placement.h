// Where a gang of one role goes, found by looking at every node: slow, and plain enough to be read
// against the words of placement.h. What is fast must choose the same.
#ifndef TANREN_TESTS_COORDINATOR_STATE_PLAIN_PLACEMENT_H_
#define TANREN_TESTS_COORDINATOR_STATE_PLAIN_PLACEMENT_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "coordinator/state/placement_board.h"

namespace tanren::coordinator {

// (node, ranks there) in the order in which they are chosen; empty: the gang doesn't fit.
using PlainPlaces = std::vector<std::pair<int, int64_t>>;

PlainPlaces PlacePlainly(const Shape& shape, const ShapeTable& shapes, const Board& board);

}  // namespace tanren::coordinator

#endif  // TANREN_TESTS_COORDINATOR_STATE_PLAIN_PLACEMENT_H_
