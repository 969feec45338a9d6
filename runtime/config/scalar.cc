#include "runtime/config/scalar.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "fmt/format.h"
#include "runtime/config/schema.h"

namespace tanren::config {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Without the underscores between digits; no value if one stands elsewhere.
std::optional<std::string> WithoutGrouping(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      result += text[i];
    } else if (i == 0 || i + 1 == text.size() || !IsDigit(text[i - 1]) || !IsDigit(text[i + 1])) {
      return std::nullopt;
    }
  }
  return result;
}

std::optional<double> ParseNumber(const std::string& text) {
  std::optional<std::string> plain = WithoutGrouping(text);
  if (!plain.has_value()) return std::nullopt;
  if (plain->starts_with('+')) plain->erase(0, 1);
  const size_t first = plain->starts_with('-') ? 1 : 0;
  // Only digits, a point and an exponent: from_chars would take "inf" and "nan".
  if (plain->size() == first || (!IsDigit((*plain)[first]) && (*plain)[first] != '.')) {
    return std::nullopt;
  }
  const bool leading_zero =
      plain->size() > first + 1 && (*plain)[first] == '0' && IsDigit((*plain)[first + 1]);
  if (leading_zero) return std::nullopt;
  double value = 0;
  const char* end = plain->data() + plain->size();
  const auto [parsed, error] = std::from_chars(plain->data(), end, value);
  if (error != std::errc() || parsed != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

// An integer of type T; no value if it isn't one or doesn't fit.
template <typename T>
std::optional<T> ParseInteger(const std::string& text) {
  const std::optional<double> number = ParseNumber(text);
  if (!number.has_value()) return std::nullopt;
  std::string plain = *WithoutGrouping(text);
  if (plain.starts_with('+')) plain.erase(0, 1);
  T value = 0;
  const char* end = plain.data() + plain.size();
  const auto [parsed, error] = std::from_chars(plain.data(), end, value);
  if (error == std::errc() && parsed == end) return value;
  // 1e3: exact as long as doubles count in ones.
  constexpr double kExact = 9007199254740992.0;
  const bool fits = std::trunc(*number) == *number && std::abs(*number) <= kExact &&
                    *number >= static_cast<double>(std::numeric_limits<T>::min()) &&
                    *number <= static_cast<double>(std::numeric_limits<T>::max());
  return fits && error != std::errc::result_out_of_range ? std::optional<T>(static_cast<T>(*number))
                                                         : std::nullopt;
}

bool WithinLimits(double value, const Limits& limits) {
  return !(limits.has_at_least() && value < limits.at_least()) &&
         !(limits.has_above() && value <= limits.above()) &&
         !(limits.has_at_most() && value > limits.at_most()) &&
         !(limits.has_below() && value >= limits.below());
}

// Calls `set` or `add` of the reflection, whichever the field takes.
#define TANREN_SET(Type, value)                                        \
  (field.is_repeated() ? reflection.Add##Type(&message, &field, value) \
                       : reflection.Set##Type(&message, &field, value))

// Whether the value was of the field's type, within its limits, and is now set.
bool Set(const YamlNode& node, const FieldDescriptor& field, Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const std::string& text = node.scalar;
  const auto accept = [&](const auto& value) {
    return value.has_value() && WithinLimits(static_cast<double>(*value), LimitsOf(field));
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      const std::optional<int32_t> value = ParseInteger<int32_t>(text);
      if (!accept(value)) return false;
      TANREN_SET(Int32, *value);
      return true;
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      const std::optional<int64_t> value = ParseInteger<int64_t>(text);
      if (!accept(value)) return false;
      TANREN_SET(Int64, *value);
      return true;
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      const std::optional<uint64_t> value = ParseInteger<uint64_t>(text);
      if (!accept(value)) return false;
      TANREN_SET(UInt64, *value);
      return true;
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      const std::optional<double> value = ParseNumber(text);
      if (!accept(value)) return false;
      TANREN_SET(Double, *value);
      return true;
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") return false;
      TANREN_SET(Bool, text == "true");
      return true;
    case FieldDescriptor::CPPTYPE_ENUM:
      for (int i = 0; i < field.enum_type()->value_count(); ++i) {
        if (EnumText(*field.enum_type()->value(i)) != text) continue;
        TANREN_SET(Enum, field.enum_type()->value(i));
        return true;
      }
      return false;
    case FieldDescriptor::CPPTYPE_STRING:
      if (text.empty() && LimitsOf(field).required()) return false;
      TANREN_SET(String, text);
      return true;
    default:
      return false;
  }
}
#undef TANREN_SET

}  // namespace

std::string SetScalar(const YamlNode& node, const FieldDescriptor& field, Message& message) {
  const bool is_text = field.cpp_type() == FieldDescriptor::CPPTYPE_STRING ||
                       field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM;
  if (node.kind == YamlNode::Kind::kScalar && (is_text || !node.quoted) &&
      Set(node, field, message)) {
    return "";
  }
  // (The element of a list is expected, not the list.)
  std::string expected = Expected(field);
  if (const size_t each = expected.find("each ");
      field.is_repeated() && each != std::string::npos) {
    expected = expected.substr(each + 5);
  }
  if (node.kind == YamlNode::Kind::kNull) {
    return fmt::format("found nothing, expected {}; leave the key out for the default{}", expected,
                       DefaultText(field).empty() ? "" : fmt::format(" ({})", DefaultText(field)));
  }
  return fmt::format("found {}, expected {}", DescribeNode(node), expected);
}

}  // namespace tanren::config
