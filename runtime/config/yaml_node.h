// YAML as a tree in which every node knows where it was written. Nothing is interpreted: a value's
// type is the business of the field that it is for, so `name: no` is the name "no". Duplicate keys
// stay, for the reader to report.
#ifndef TANREN_RUNTIME_CONFIG_YAML_NODE_H_
#define TANREN_RUNTIME_CONFIG_YAML_NODE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/config/problems.h"

namespace tanren::config {

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMap };
  Kind kind = Kind::kNull;
  Place place;
  std::string scalar;
  bool quoted = false;          // the scalar was written in quotes or as a block
  std::vector<YamlNode> keys;   // of a map, one for each of `items`
  std::vector<YamlNode> items;  // of a sequence or a map
};

// How an error message calls what was found: `"abc"`, "a list", "nothing".
std::string DescribeNode(const YamlNode& node);

// One YAML document; kNull for an empty one. Places are "name:line:column", counted from 1.
// kInvalidArgument with the place for broken YAML, a second document, anchors, aliases, tags, more
// than 32 levels, and text with NUL bytes.
absl::StatusOr<YamlNode> ParseYaml(const std::string& text, const std::string& name);

// The same for a value on the command line, where `place` stands for all nodes.
absl::StatusOr<YamlNode> ParseYamlValue(const std::string& text, const Place& place);

}  // namespace tanren::config

#endif  // TANREN_RUNTIME_CONFIG_YAML_NODE_H_
