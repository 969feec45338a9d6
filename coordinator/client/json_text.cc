#include "coordinator/client/json_text.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "google/protobuf/descriptor.h"

namespace tanren::coordinator {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Json = nlohmann::ordered_json;

std::string EnumName(const google::protobuf::EnumValueDescriptor* value) {
  return value == nullptr ? "" : absl::AsciiStrToLower(value->name());
}

// The field's value; the one at `index` if it is repeated.
Json ValueOf(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& read = *message.GetReflection();
  const bool many = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return many ? read.GetRepeatedInt32(message, &field, index) : read.GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return many ? read.GetRepeatedInt64(message, &field, index) : read.GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return many ? read.GetRepeatedUInt32(message, &field, index)
                  : read.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return many ? read.GetRepeatedUInt64(message, &field, index)
                  : read.GetUInt64(message, &field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return many ? read.GetRepeatedDouble(message, &field, index)
                  : read.GetDouble(message, &field);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return many ? read.GetRepeatedFloat(message, &field, index) : read.GetFloat(message, &field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return many ? read.GetRepeatedBool(message, &field, index) : read.GetBool(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumName(many ? read.GetRepeatedEnum(message, &field, index)
                           : read.GetEnum(message, &field));
    case FieldDescriptor::CPPTYPE_STRING:
      return many ? read.GetRepeatedString(message, &field, index)
                  : read.GetString(message, &field);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return JsonOf(many ? read.GetRepeatedMessage(message, &field, index)
                         : read.GetMessage(message, &field));
  }
  return nullptr;
}

std::string KeyText(const Json& key) {
  return key.is_string() ? key.get<std::string>() : key.dump();
}

Json MapOf(const Message& message, const FieldDescriptor& field) {
  const Reflection& read = *message.GetReflection();
  std::map<std::string, Json> sorted;
  for (int i = 0; i < read.FieldSize(message, &field); ++i) {
    const Message& entry = read.GetRepeatedMessage(message, &field, i);
    const auto& type = *entry.GetDescriptor();
    sorted[KeyText(ValueOf(entry, *type.map_key(), 0))] = ValueOf(entry, *type.map_value(), 0);
  }
  Json object = Json::object();
  for (auto& [key, value] : sorted) object[key] = std::move(value);
  return object;
}

Json ListOf(const Message& message, const FieldDescriptor& field) {
  Json list = Json::array();
  for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
    list.push_back(ValueOf(message, field, i));
  }
  return list;
}

}  // namespace

Json JsonOf(const Message& message) {
  Json object = Json::object();
  const auto& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.is_map()) {
      object[field.name()] = MapOf(message, field);
    } else if (field.is_repeated()) {
      object[field.name()] = ListOf(message, field);
    } else if (!field.has_presence() || message.GetReflection()->HasField(message, &field)) {
      object[field.name()] = ValueOf(message, field, 0);
    }
  }
  return object;
}

std::string JsonLine(const Message& message) {
  return JsonOf(message).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tanren::coordinator
