// What recipe.proto allows, in words for error messages.
#ifndef TANREN_RUNTIME_CONFIG_SCHEMA_H_
#define TANREN_RUNTIME_CONFIG_SCHEMA_H_

#include <string>
#include <string_view>

#include "google/protobuf/descriptor.h"
#include "proto/options.pb.h"

namespace tanren::config {

const Limits& LimitsOf(const google::protobuf::FieldDescriptor& field);

// The enum value's name as recipes write it: in lower case.
std::string EnumText(const google::protobuf::EnumValueDescriptor& value);

// What the field takes: "an integer of 1 or more", "one of: adamw, sgd", "true or false".
std::string Expected(const google::protobuf::FieldDescriptor& field);

// What the field is where it isn't given, as YAML.
std::string DefaultText(const google::protobuf::FieldDescriptor& field);

// "section.name", or "name" at the top.
std::string Join(std::string_view section, std::string_view name);

// Of a key that `message` (at the dotted path `section`) doesn't have: which key was probably
// meant, and where else in a recipe a key of that name belongs.
std::string UnknownKey(const std::string& key, const google::protobuf::Descriptor& message,
                       const std::string& section);

}  // namespace tanren::config

#endif  // TANREN_RUNTIME_CONFIG_SCHEMA_H_
