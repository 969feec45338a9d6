// The comments of proto/recipe.proto, which compiled descriptors don't keep.
#ifndef TANREN_RUNTIME_CONFIG_SCHEMA_COMMENTS_H_
#define TANREN_RUNTIME_CONFIG_SCHEMA_COMMENTS_H_

#include <map>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace tanren::config {

class SchemaComments {
 public:
  SchemaComments();

  // What stands above a field or behind an enum's value: lines, each with its leading space. Empty
  // where nothing does.
  std::string Of(const google::protobuf::FieldDescriptor& field) const;
  std::string Of(const google::protobuf::EnumValueDescriptor& value) const;

 private:
  std::string At(const std::vector<int>& path) const;

  std::map<std::vector<int>, std::string> by_path_;
};

}  // namespace tanren::config

#endif  // TANREN_RUNTIME_CONFIG_SCHEMA_COMMENTS_H_
