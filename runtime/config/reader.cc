#include "runtime/config/reader.h"

#include <map>
#include <string>

#include "fmt/format.h"
#include "runtime/config/scalar.h"
#include "runtime/config/schema.h"

namespace tanren::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

class Reader {
 public:
  Reader(Problems& problems, Places& places) : problems_(problems), places_(places) {}

  void ReadMessage(const YamlNode& node, const std::string& path, Message& message) {
    const Descriptor& schema = *message.GetDescriptor();
    if (node.kind != YamlNode::Kind::kMap) {
      std::string keys;
      for (int i = 0; i < schema.field_count(); ++i) {
        keys += (i == 0 ? "" : ", ") + schema.field(i)->name();
      }
      problems_.Add(node.place,
                    fmt::format("{}found {}, expected a section with keys of: {}",
                                path.empty() ? "" : path + ": ", DescribeNode(node), keys),
                    path);
      return;
    }
    std::map<std::string, Place> seen;
    for (size_t i = 0; i < node.keys.size(); ++i) {
      const FieldDescriptor* field = FieldOf(node.keys[i], schema, path);
      if (field == nullptr) continue;
      const auto [first, is_new] = seen.emplace(field->name(), node.keys[i].place);
      const std::string field_path = Join(path, field->name());
      if (!is_new) {
        problems_.Add(node.keys[i].place,
                      fmt::format("{} is given twice, first at {}", field_path, first->second.text),
                      field_path);
        continue;
      }
      places_[field_path] = node.keys[i].place;
      ReadField(node.items[i], field_path, *field, message);
    }
    for (int i = 0; i < schema.field_count(); ++i) {
      const FieldDescriptor& field = *schema.field(i);
      if (LimitsOf(field).required() && !seen.contains(field.name()) && !problems_.Concerns(path)) {
        problems_.Add(
            node.place,
            fmt::format("{} is missing, expected {}", Join(path, field.name()), Expected(field)),
            Join(path, field.name()));
      }
    }
  }

 private:
  const FieldDescriptor* FieldOf(const YamlNode& key, const Descriptor& schema,
                                 const std::string& path) {
    if (key.kind != YamlNode::Kind::kScalar) {
      problems_.Add(key.place, fmt::format("found {} as a key, expected a name", DescribeNode(key)),
                    path);
      return nullptr;
    }
    const FieldDescriptor* field = schema.FindFieldByName(key.scalar);
    if (field == nullptr) problems_.Add(key.place, UnknownKey(key.scalar, schema, path), path);
    return field;
  }

  void ReadField(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
                 Message& message) {
    if (!field.is_repeated()) {
      ReadOne(node, path, field, message);
      return;
    }
    if (node.kind != YamlNode::Kind::kSequence) {
      problems_.Add(
          node.place,
          fmt::format("{}: found {}, expected {}", path, DescribeNode(node), Expected(field)),
          path);
      return;
    }
    for (size_t i = 0; i < node.items.size(); ++i) {
      const std::string item_path = fmt::format("{}[{}]", path, i);
      places_[item_path] = node.items[i].place;
      ReadOne(node.items[i], item_path, field, message);
    }
  }

  void ReadOne(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
               Message& message) {
    const google::protobuf::Reflection& reflection = *message.GetReflection();
    if (field.message_type() != nullptr) {
      ReadMessage(node, path,
                  field.is_repeated() ? *reflection.AddMessage(&message, &field)
                                      : *reflection.MutableMessage(&message, &field));
      return;
    }
    const std::string problem = SetScalar(node, field, message);
    if (!problem.empty()) problems_.Add(node.place, fmt::format("{}: {}", path, problem), path);
  }

  Problems& problems_;
  Places& places_;
};

}  // namespace

Recipe ReadTree(const YamlNode& root, Problems& problems, Places& places) {
  Recipe recipe;
  places[""] = root.place;
  Reader(problems, places).ReadMessage(root, "", recipe);
  return recipe;
}

}  // namespace tanren::config
