#include "runtime/config/schema_comments.h"

#include "google/protobuf/compiler/parser.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "runtime/base/error.h"
#include "runtime/config/recipe_proto_text.h"

namespace tanren::config {

using google::protobuf::DescriptorProto;
using google::protobuf::EnumDescriptorProto;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptorProto;

SchemaComments::SchemaComments() {
  google::protobuf::io::ArrayInputStream stream(kRecipeProtoText.data(),
                                                static_cast<int>(kRecipeProtoText.size()));
  google::protobuf::io::Tokenizer tokenizer(&stream, nullptr);
  google::protobuf::compiler::Parser parser;
  FileDescriptorProto file;
  TANREN_CHECK(parser.Parse(&tokenizer, &file), "recipe.proto was compiled before");
  for (const auto& location : file.source_code_info().location()) {
    const std::string text = location.leading_comments() + location.trailing_comments();
    if (!text.empty()) by_path_[{location.path().begin(), location.path().end()}] = text;
  }
}

std::string SchemaComments::Of(const FieldDescriptor& field) const {
  return At({FileDescriptorProto::kMessageTypeFieldNumber, field.containing_type()->index(),
             DescriptorProto::kFieldFieldNumber, field.index()});
}

std::string SchemaComments::Of(const EnumValueDescriptor& value) const {
  return At({FileDescriptorProto::kMessageTypeFieldNumber, value.type()->containing_type()->index(),
             DescriptorProto::kEnumTypeFieldNumber, value.type()->index(),
             EnumDescriptorProto::kValueFieldNumber, value.index()});
}

std::string SchemaComments::At(const std::vector<int>& path) const {
  const auto found = by_path_.find(path);
  return found == by_path_.end() ? "" : found->second;
}

}  // namespace tanren::config
