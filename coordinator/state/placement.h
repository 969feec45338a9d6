// Where a gang goes: all of it or nothing, on as few hosts as it can, in as few racks and NVLink
// islands, and where it leaves the least in pieces.
#ifndef TANREN_COORDINATOR_STATE_PLACEMENT_H_
#define TANREN_COORDINATOR_STATE_PLACEMENT_H_

#include <cstdint>
#include <vector>

#include "coordinator/state/placement_board.h"
#include "coordinator/state/placement_role.h"
#include "coordinator/state/placement_shape.h"
#include "proto/job.pb.h"

namespace tanren::coordinator {

// Takes what the gang needs from the board, or nothing and returns false. Fewer hosts go before
// fewer racks, and both before a close fit.
//
// A gang of one role is placed whenever that is possible at all, on the fewest hosts possible; the
// choice of racks is a heuristic once no rack holds it alone. Gangs of several roles are packed
// role by role, the largest ranks first: where only a cleverer packing would hold them, they wait.
bool PlaceGang(const Shape& shape, Board& board, std::vector<GangPart>& parts);

// The placements in words of the job: role by role, ranks counted on from node to node.
std::vector<Placement> ToPlacements(const JobSpec& spec, const Shape& shape, const NodeTable& nodes,
                                    std::vector<GangPart> parts);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_PLACEMENT_H_
