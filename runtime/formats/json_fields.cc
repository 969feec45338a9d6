#include "runtime/formats/json_fields.h"

#include <algorithm>
#include <limits>

#include "runtime/base/error.h"

namespace tanren::formats {
namespace {

bool SaysNothing(const nlohmann::json& value) {
  if (value.is_null()) return true;
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<double>() == 0;
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.empty();
}

}  // namespace

JsonFields::JsonFields(const nlohmann::json& object, std::string where)
    : object_(&object), where_(std::move(where)) {}

const nlohmann::json* JsonFields::Find(std::string_view key) {
  asked_.emplace_back(key);
  const auto found = object_->find(asked_.back());
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

bool JsonFields::Has(std::string_view key) {
  asked_.emplace_back(key);
  return object_->contains(asked_.back());
}

void JsonFields::Fail(std::string_view key, std::string_view message) const {
  throw Error(absl::InvalidArgumentError(fmt::format("{}: {}: {}", where_, key, message)));
}

void JsonFields::WrongType(std::string_view key, const nlohmann::json& found,
                           std::string_view expected) const {
  constexpr auto kReplace = nlohmann::json::error_handler_t::replace;
  std::string text =
      found.is_structured() ? found.type_name() : found.dump(-1, ' ', true, kReplace);
  if (text.size() > 80) text = text.substr(0, 80) + "…";
  Fail(key, fmt::format("found {}, expected {}", text, expected));
}

std::optional<int64_t> JsonFields::AsInt(const nlohmann::json& value) const {
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() &&
      value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return std::nullopt;
  }
  return value.get<int64_t>();
}

std::optional<int64_t> JsonFields::Int(std::string_view key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  const std::optional<int64_t> integer = AsInt(*value);
  if (!integer) WrongType(key, *value, "an integer");
  return integer;
}

int64_t JsonFields::RequiredInt(std::string_view key) {
  const std::optional<int64_t> value = Int(key);
  if (!value) Fail(key, "is missing");
  return *value;
}

std::optional<double> JsonFields::Number(std::string_view key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) WrongType(key, *value, "a number");
  return value->get<double>();
}

std::optional<bool> JsonFields::Bool(std::string_view key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) WrongType(key, *value, "true or false");
  return value->get<bool>();
}

std::optional<std::string> JsonFields::String(std::string_view key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) WrongType(key, *value, "a string");
  return value->get<std::string>();
}

std::optional<std::vector<int64_t>> JsonFields::Ints(std::string_view key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  std::vector<int64_t> integers;
  // begin() to end() of a number is the number itself.
  if (value->is_object()) WrongType(key, *value, "an integer or a list of integers");
  for (const nlohmann::json& element : *value) {
    const std::optional<int64_t> integer = AsInt(element);
    if (!integer) WrongType(key, element, "an integer or a list of integers");
    integers.push_back(*integer);
  }
  return integers;
}

std::optional<std::vector<std::string>> JsonFields::Strings(std::string_view key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array()) WrongType(key, *value, "a list of strings");
  std::vector<std::string> strings;
  for (const nlohmann::json& element : *value) {
    if (!element.is_string()) WrongType(key, element, "a list of strings");
    strings.push_back(element.get<std::string>());
  }
  return strings;
}

std::optional<JsonFields> JsonFields::Object(std::string_view key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) WrongType(key, *value, "an object");
  return JsonFields(*value, fmt::format("{}: {}", where_, key));
}

std::vector<std::string> JsonFields::Unasked() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object_->items()) {
    if (!SaysNothing(value) && std::find(asked_.begin(), asked_.end(), key) == asked_.end()) {
      keys.push_back(key);
    }
  }
  return keys;
}

}  // namespace tanren::formats
