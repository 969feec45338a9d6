// What gangs ask for, each distinct demand once: jobs that ask alike share what was found out.
#ifndef TANREN_COORDINATOR_STATE_PLACEMENT_SHAPE_H_
#define TANREN_COORDINATOR_STATE_PLACEMENT_SHAPE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/state/placement_index.h"
#include "coordinator/state/placement_nodes.h"
#include "proto/job.pb.h"

namespace tanren::coordinator {

struct RoleShape {
  int role = 0;  // its index in the job
  int64_t ranks = 0;
  Amount per_rank;
  int64_t most_per_node = 0;  // at least 1

  NodeNeed Need(int64_t ranks_together) const;
};

struct Shape {
  int number = 0;  // from 0, within its table
  std::vector<RoleShape> roles;
  int labels = 0;             // number of a set of labels in the table
  std::vector<int> excluded;  // nodes, ascending
  Amount total;

  bool single_role() const { return roles.size() == 1; }
};

// What a job's ranks hold together.
Amount TotalOf(const JobSpec& spec);

// Grows; references to shapes stay good.
class ShapeTable {
 public:
  explicit ShapeTable(const NodeTable& nodes) : nodes_(nodes) {}

  const Shape& Of(const JobSpec& spec);
  int size() const { return static_cast<int>(shapes_.size()); }
  // The nodes that have a shape's labels, ascending.
  const std::vector<int>& NodesWith(int labels) const { return label_nodes_[labels]; }

 private:
  const NodeTable& nodes_;
  std::deque<Shape> shapes_;
  absl::flat_hash_map<std::string, int> known_;
  absl::flat_hash_map<std::string, int> known_labels_;
  std::deque<std::vector<int>> label_nodes_;
  std::string key_;  // reused
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_PLACEMENT_SHAPE_H_
