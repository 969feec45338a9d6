// `--set KEY=VALUE`: changes the tree of a recipe before it is read.
#ifndef TANREN_RUNTIME_CONFIG_OVERRIDES_H_
#define TANREN_RUNTIME_CONFIG_OVERRIDES_H_

#include <string>

#include "runtime/config/problems.h"
#include "runtime/config/yaml_node.h"

namespace tanren::config {

// Puts VALUE at KEY, in place of what stood there. KEY is a dotted path; elements of lists are
// named by index (data.sources.0.weight), of which the next free one appends. VALUE is YAML, but
// for a field of text it is taken as it is unless it begins with a quote. Later overrides win.
void ApplyOverride(const std::string& assignment, YamlNode& root, Problems& problems);

}  // namespace tanren::config

#endif  // TANREN_RUNTIME_CONFIG_OVERRIDES_H_
