// A tree of YAML into a recipe, by the schema alone.
#ifndef TANREN_RUNTIME_CONFIG_READER_H_
#define TANREN_RUNTIME_CONFIG_READER_H_

#include "proto/recipe.pb.h"
#include "runtime/config/problems.h"
#include "runtime/config/yaml_node.h"

namespace tanren::config {

// Sets what `root` gives, adds what is wrong with it to `problems` and where each key was written
// to `places`. Keys with a problem stay unset.
Recipe ReadTree(const YamlNode& root, Problems& problems, Places& places);

}  // namespace tanren::config

#endif  // TANREN_RUNTIME_CONFIG_READER_H_
