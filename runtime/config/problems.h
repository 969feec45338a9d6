// The mistakes found in a recipe, collected so that one reading reports all of them.
#ifndef TANREN_RUNTIME_CONFIG_PROBLEMS_H_
#define TANREN_RUNTIME_CONFIG_PROBLEMS_H_

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tanren::config {

// Where a value was written.
struct Place {
  std::string text;              // "recipe.yaml:3:5" or "--set training.steps=5"
  bool on_command_line = false;  // given by --set
};

// Where each given key of a recipe was written, by its dotted path ("data.sources[0].path").
using Places = std::map<std::string, Place>;

class Problems {
 public:
  // Adds "place: message". `key` is the dotted path that the problem leaves without a trustworthy
  // value; of an unknown key it is the section that holds it.
  void Add(const Place& place, const std::string& message, const std::string& key);
  bool Concerns(const std::string& key) const { return keys_.contains(key); }
  size_t size() const { return lines_.size(); }
  // kInvalidArgument with a line for each problem; OK if there is none.
  absl::Status ToStatus() const;

 private:
  std::vector<std::string> lines_;
  std::set<std::string> keys_;
};

}  // namespace tanren::config

#endif  // TANREN_RUNTIME_CONFIG_PROBLEMS_H_
