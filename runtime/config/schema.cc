#include "runtime/config/schema.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <vector>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "proto/recipe.pb.h"

namespace tanren::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// Inserted, missing, wrong and swapped neighbouring letters count 1 each (optimal string
// alignment).
size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                             cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

// learning-rate and learningRate as learning_rate.
std::string SnakeCase(const std::string& key) {
  std::string result;
  for (const char c : key) {
    const auto letter = static_cast<unsigned char>(c);
    if (std::isupper(letter) && !result.empty() && result.back() != '_') result += '_';
    result += c == '-' || c == ' ' ? '_' : static_cast<char>(std::tolower(letter));
  }
  return result;
}

// The dotted paths of all fields called `name`.
void FindElsewhere(const Descriptor& message, const std::string& section, const std::string& name,
                   std::vector<std::string>& found) {
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    const std::string path = Join(section, field.name());
    if (field.name() == name) found.push_back(path);
    if (field.message_type() != nullptr) {
      FindElsewhere(*field.message_type(), path + (field.is_repeated() ? "[]" : ""), name, found);
    }
  }
}

std::string Bounds(const Limits& limits) {
  std::vector<std::string> parts;
  if (limits.has_above()) parts.push_back(fmt::format("above {}", limits.above()));
  if (limits.has_at_least() && limits.has_at_most()) {
    return fmt::format(" from {} to {}", limits.at_least(), limits.at_most());
  }
  if (limits.has_at_least()) parts.push_back(fmt::format("of {} or more", limits.at_least()));
  if (limits.has_at_most()) parts.push_back(fmt::format("at most {}", limits.at_most()));
  if (limits.has_below()) parts.push_back(fmt::format("below {}", limits.below()));
  return parts.empty() ? "" : fmt::format(" {}", fmt::join(parts, " and "));
}

std::string ExpectedOne(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_ENUM: {
      std::vector<std::string> names;
      for (int i = 0; i < field.enum_type()->value_count(); ++i) {
        names.push_back(EnumText(*field.enum_type()->value(i)));
      }
      return fmt::format("one of: {}", fmt::join(names, ", "));
    }
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return fmt::format("a number{}", Bounds(LimitsOf(field)));
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return "an integer of 0 or more";
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
      return fmt::format("an integer{}", Bounds(LimitsOf(field)));
    case FieldDescriptor::CPPTYPE_STRING:
      return LimitsOf(field).path() || LimitsOf(field).data_path() ? "a path" : "text";
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "a section";
  }
  return "a value";
}

}  // namespace

const Limits& LimitsOf(const FieldDescriptor& field) {
  return field.options().GetExtension(tanren::limits);
}

std::string EnumText(const google::protobuf::EnumValueDescriptor& value) {
  std::string text = value.name();
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string Expected(const FieldDescriptor& field) {
  if (!field.is_repeated()) return ExpectedOne(field);
  return field.message_type() != nullptr ? "a list of sections"
                                         : fmt::format("a list, each {}", ExpectedOne(field));
}

std::string DefaultText(const FieldDescriptor& field) {
  if (field.is_repeated()) return "[]";
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return field.default_value_bool() ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumText(*field.default_value_enum());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return fmt::format("{}", field.default_value_double());
    case FieldDescriptor::CPPTYPE_UINT64:
      return fmt::format("{}", field.default_value_uint64());
    case FieldDescriptor::CPPTYPE_INT32:
      return fmt::format("{}", field.default_value_int32());
    case FieldDescriptor::CPPTYPE_INT64:
      return fmt::format("{}", field.default_value_int64());
    case FieldDescriptor::CPPTYPE_STRING:
      return field.default_value_string().empty() ? "\"\"" : field.default_value_string();
    default:
      return "";
  }
}

std::string Join(std::string_view section, std::string_view name) {
  return section.empty() ? std::string(name) : fmt::format("{}.{}", section, name);
}

std::string UnknownKey(const std::string& key, const Descriptor& message,
                       const std::string& section) {
  const std::string wanted = SnakeCase(key);
  std::vector<std::string> names;
  std::string nearest;
  size_t distance = wanted.size() / 3 + 2;  // further away is no misspelling
  // A key that is far too long is no misspelling of any, and its distance would take long.
  const bool comparable = wanted.size() <= 64;
  for (int i = 0; i < message.field_count(); ++i) {
    const std::string& name = message.field(i)->name();
    names.push_back(name);
    const size_t d = comparable ? EditDistance(wanted, name) : distance;
    if (d < distance && d < name.size()) {
      distance = d;
      nearest = name;
    }
  }
  std::vector<std::string> elsewhere;
  FindElsewhere(*Recipe::descriptor(), "", wanted, elsewhere);
  const std::string what =
      fmt::format("unknown key \"{}{}\"{}", key.substr(0, 64), key.size() > 64 ? "…" : "",
                  section.empty() ? "" : fmt::format(" in {}", section));
  if (distance <= 1 && !nearest.empty()) {
    return fmt::format("{}; did you mean \"{}\"?", what, nearest);
  }
  if (!elsewhere.empty()) {
    return fmt::format("{}; it belongs to {}", what, fmt::join(elsewhere, " or "));
  }
  if (!nearest.empty()) return fmt::format("{}; did you mean \"{}\"?", what, nearest);
  return fmt::format("{}; expected one of: {}", what, fmt::join(names, ", "));
}

}  // namespace tanren::config
