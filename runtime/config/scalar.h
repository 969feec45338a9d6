// One value of YAML into one field of a message.
#ifndef TANREN_RUNTIME_CONFIG_SCALAR_H_
#define TANREN_RUNTIME_CONFIG_SCALAR_H_

#include <string>

#include "google/protobuf/message.h"
#include "runtime/config/yaml_node.h"

namespace tanren::config {

// Sets the field, or adds to it if it is repeated; returns what is wrong ("" if nothing), without
// the place. The type is the field's, never guessed:
// - integers are decimal, may group digits as 1_000, and may be written 1e3 where that is whole;
//   no leading zeros, hexadecimals or quotes;
// - numbers take the same and 1e-4, 0.5, .5; finite only;
// - booleans are true and false;
// - enum values are in lower case;
// - text is whatever was written, also `name: 007` or `stop: [no]`.
std::string SetScalar(const YamlNode& node, const google::protobuf::FieldDescriptor& field,
                      google::protobuf::Message& message);

}  // namespace tanren::config

#endif  // TANREN_RUNTIME_CONFIG_SCALAR_H_
