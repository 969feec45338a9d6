// A value in a JSON document with the path that leads to it, so that errors name the place.
#ifndef TANREN_RUNTIME_TEXT_JSON_PLACE_H_
#define TANREN_RUNTIME_TEXT_JSON_PLACE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "nlohmann/json.hpp"
#include "runtime/base/error.h"

namespace tanren::text {

// All readers throw Error(kInvalidArgument) with the path, what was found and what was expected.
class JsonPlace {
 public:
  JsonPlace(const nlohmann::json& value, std::string path)
      : value_(&value), path_(std::move(path)) {}

  const nlohmann::json& json() const { return *value_; }
  const std::string& path() const { return path_; }

  [[noreturn]] void Fail(std::string_view message) const {
    throw Error(absl::InvalidArgumentError(fmt::format("{}: {}", path_, message)));
  }
  [[noreturn]] void Expected(std::string_view what) const {
    std::string found = value_->is_structured() ? value_->type_name() : value_->dump(-1, ' ', true);
    if (found.size() > 80) found = found.substr(0, 80) + "…";
    Fail(fmt::format("found {}, expected {}", found, what));
  }

  // Whether the key is there with a value other than null.
  bool Has(const char* key) const {
    return value_->is_object() && value_->contains(key) && !value_->at(key).is_null();
  }
  JsonPlace Get(const char* key) const {
    if (!value_->is_object()) Expected("an object");
    const auto found = value_->find(key);
    if (found == value_->end()) Fail(fmt::format("\"{}\" is missing", key));
    return {*found, fmt::format("{}.{}", path_, key)};
  }
  // A list's length.
  size_t Size() const {
    if (!value_->is_array()) Expected("a list");
    return value_->size();
  }
  JsonPlace At(size_t index) const {
    return {value_->at(index), fmt::format("{}[{}]", path_, index)};
  }

  const std::string& String() const {
    if (!value_->is_string()) Expected("a string");
    return value_->get_ref<const std::string&>();
  }
  bool Bool() const {
    if (!value_->is_boolean()) Expected("true or false");
    return value_->get<bool>();
  }
  bool Bool(const char* key, bool absent) const { return Has(key) ? Get(key).Bool() : absent; }
  int64_t Integer() const {
    if (!value_->is_number_integer() ||
        (value_->is_number_unsigned() && value_->get<uint64_t>() > INT64_MAX)) {
      Expected("an integer");
    }
    return value_->get<int64_t>();
  }

 private:
  const nlohmann::json* value_;
  std::string path_;
};

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_JSON_PLACE_H_
