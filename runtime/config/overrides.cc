#include "runtime/config/overrides.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "proto/recipe.pb.h"
#include "runtime/config/schema.h"

namespace tanren::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// "a.b[1].c" and "a.b.1.c" as a, b, 1, c.
std::vector<std::string> SplitKey(const std::string& key) {
  std::vector<std::string> parts(1);
  for (size_t i = 0; i < key.size(); ++i) {
    if (key[i] == '.' || key[i] == '[') {
      parts.emplace_back();
    } else if (key[i] != ']') {
      parts.back() += key[i];
    }
  }
  return parts;
}

std::optional<size_t> ParseIndex(const std::string& text) {
  size_t index = 0;
  const char* end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data(), end, index);
  return error == std::errc() && parsed == end && !text.empty() ? std::optional(index)
                                                                : std::nullopt;
}

// One override on its way down the tree, with the schema beside it.
class Override {
 public:
  Override(const std::string& assignment, Problems& problems)
      : place_{fmt::format("--set {}", assignment), true}, problems_(problems) {}

  void Apply(const std::string& key, const std::string& value, YamlNode& root) {
    const Descriptor* message = Recipe::descriptor();
    const FieldDescriptor* field = nullptr;
    YamlNode* node = &root;
    std::string path;
    const std::vector<std::string> parts = SplitKey(key);
    for (size_t i = 0; i < parts.size(); ++i) {
      const bool wants_element = field != nullptr && field->is_repeated();
      if (wants_element) {
        node = Element(parts[i], path, *node);
        if (node == nullptr) return;
        path = fmt::format("{}[{}]", path, parts[i]);
        message = field->message_type();
        // What follows an element is a key of its message; text ends here.
        element_ = field;
        field = nullptr;
        continue;
      }
      if (message == nullptr) {
        Fail(fmt::format("{} is {}, which has no key \"{}\"", path,
                         Expected(*(field != nullptr ? field : element_)), parts[i]),
             path);
        return;
      }
      field = message->FindFieldByName(parts[i]);
      if (field == nullptr) {
        Fail(UnknownKey(parts[i], *message, path), path);
        return;
      }
      node = Member(parts[i], path, *node);
      if (node == nullptr) return;
      path = Join(path, parts[i]);
      element_ = nullptr;
      message = field->is_repeated() ? nullptr : field->message_type();
    }
    Put(value, field, *node);
  }

 private:
  void Fail(const std::string& message, const std::string& path) {
    problems_.Add(place_, message, path);
  }

  // The value of key `name`, made if there is none; null after a problem.
  YamlNode* Member(const std::string& name, const std::string& path, YamlNode& node) {
    if (node.kind == YamlNode::Kind::kNull) {
      node.kind = YamlNode::Kind::kMap;
      if (node.place.text.empty()) node.place = place_;
    }
    if (node.kind != YamlNode::Kind::kMap) {
      Fail(fmt::format("{} is {} at {}, expected a section", path, DescribeNode(node),
                       node.place.text),
           path);
      return nullptr;
    }
    for (size_t i = 0; i < node.keys.size(); ++i) {
      if (node.keys[i].scalar != name) continue;
      last_key_ = &node.keys[i];
      return &node.items[i];
    }
    node.keys.push_back({.kind = YamlNode::Kind::kScalar, .place = place_, .scalar = name});
    node.items.push_back({.place = place_});
    last_key_ = &node.keys.back();
    return &node.items.back();
  }

  YamlNode* Element(const std::string& text, const std::string& path, YamlNode& node) {
    if (node.kind == YamlNode::Kind::kNull) node.kind = YamlNode::Kind::kSequence;
    const std::optional<size_t> index = ParseIndex(text);
    if (node.kind != YamlNode::Kind::kSequence || !index.has_value() ||
        *index > node.items.size()) {
      Fail(fmt::format("{} has {} elements: found \"{}\", expected an index up to {}", path,
                       node.items.size(), text, node.items.size()),
           path);
      return nullptr;
    }
    if (*index == node.items.size()) node.items.push_back({.place = place_});
    last_key_ = nullptr;
    return &node.items[*index];
  }

  void Put(const std::string& value, const FieldDescriptor* field, YamlNode& node) {
    const FieldDescriptor* type = field != nullptr ? field : element_;
    const bool single = field == nullptr || !field->is_repeated();
    const bool quoted = value.starts_with('"') || value.starts_with('\'');
    if (last_key_ != nullptr) last_key_->place = place_;
    if (single && type->cpp_type() == FieldDescriptor::CPPTYPE_STRING && !quoted) {
      node = {.kind = YamlNode::Kind::kScalar, .place = place_, .scalar = value};
      return;
    }
    absl::StatusOr<YamlNode> parsed = ParseYamlValue(value, place_);
    if (!parsed.ok()) {
      std::string message(parsed.status().message());
      Fail(message.substr(std::min(message.size(), place_.text.size() + 2)), "");
      return;
    }
    node = *std::move(parsed);
  }

  const Place place_;
  Problems& problems_;
  YamlNode* last_key_ = nullptr;              // the key of the node walked to, if it has one
  const FieldDescriptor* element_ = nullptr;  // the list that the node walked to is an element of
};

}  // namespace

void ApplyOverride(const std::string& assignment, YamlNode& root, Problems& problems) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    problems.Add({fmt::format("--set {}", assignment), true},
                 "expected KEY=VALUE, as in training.steps=100", "");
    return;
  }
  // One that fails half-way leaves nothing behind.
  YamlNode changed = root;
  const size_t before = problems.size();
  Override(assignment, problems)
      .Apply(assignment.substr(0, equals), assignment.substr(equals + 1), changed);
  if (problems.size() == before) root = std::move(changed);
}

}  // namespace tanren::config
