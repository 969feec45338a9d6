#include "parallel/checkpoint/json_fields.h"

#include <limits>
#include <string_view>

#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

using Json = nlohmann::json;

// What copies or writes a value recurses.
constexpr int kMostLevels = 64;

// The value as messages show it.
std::string Excerpt(const Json& value) {
  constexpr size_t kLongest = 60;
  if (value.is_structured()) return fmt::format("an {}", value.type_name());
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "…";
  return text;
}

[[noreturn]] void ThrowUnexpected(const char* name, std::string_view found,
                                  std::string_view expected) {
  throw Error(absl::InvalidArgumentError(
      fmt::format("field '{}': found {}, expected {}", name, found, expected)));
}

const Json& Field(const Json& object, const char* name, std::string_view expected) {
  if (!object.is_object()) ThrowUnexpected(name, Excerpt(object) + " around it", "an object");
  const auto found = object.find(name);
  if (found == object.end()) ThrowUnexpected(name, "nothing", expected);
  return *found;
}

int64_t Count(const Json& value, const char* name) {
  constexpr uint64_t kLargest = std::numeric_limits<int64_t>::max();
  // The parser keeps what isn't negative as an unsigned number.
  if (!value.is_number_integer() ||
      (value.is_number_unsigned() ? value.get<uint64_t>() > kLargest : value.get<int64_t>() < 0)) {
    ThrowUnexpected(name, Excerpt(value), "an integer of at least 0");
  }
  return value.get<int64_t>();
}

}  // namespace

Json ParseJson(const std::string& text) {
  const Json::parser_callback_t limit_depth = [](int depth, Json::parse_event_t, Json&) {
    if (depth > kMostLevels) {
      throw Error(
          absl::InvalidArgumentError(fmt::format("nested more than {} levels deep", kMostLevels)));
    }
    return true;
  };
  try {
    return Json::parse(text, limit_depth);
  } catch (const Json::parse_error& error) {
    throw Error(
        absl::InvalidArgumentError(fmt::format("not JSON: byte {} is unexpected", error.byte)));
  }
}

const Json& ObjectField(const Json& object, const char* name) {
  const Json& value = Field(object, name, "an object");
  if (!value.is_object()) ThrowUnexpected(name, Excerpt(value), "an object");
  return value;
}

const Json& ArrayField(const Json& object, const char* name) {
  const Json& value = Field(object, name, "an array");
  if (!value.is_array()) ThrowUnexpected(name, Excerpt(value), "an array");
  return value;
}

const std::string& TextField(const Json& object, const char* name) {
  const Json& value = Field(object, name, "text");
  if (!value.is_string()) ThrowUnexpected(name, Excerpt(value), "text");
  return value.get_ref<const std::string&>();
}

bool FlagField(const Json& object, const char* name) {
  const Json& value = Field(object, name, "true or false");
  if (!value.is_boolean()) ThrowUnexpected(name, Excerpt(value), "true or false");
  return value.get<bool>();
}

double NumberField(const Json& object, const char* name) {
  const Json& value = Field(object, name, "a number");
  if (!value.is_number()) ThrowUnexpected(name, Excerpt(value), "a number");
  return value.get<double>();
}

int64_t CountField(const Json& object, const char* name) {
  return Count(Field(object, name, "an integer of at least 0"), name);
}

std::vector<int64_t> CountsField(const Json& object, const char* name) {
  std::vector<int64_t> counts;
  for (const Json& value : ArrayField(object, name)) counts.push_back(Count(value, name));
  return counts;
}

}  // namespace tanren::parallel
