// Typed access to the members of a JSON object.
#ifndef TANREN_RUNTIME_FORMATS_JSON_FIELDS_H_
#define TANREN_RUNTIME_FORMATS_JSON_FIELDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nlohmann/json.hpp"

namespace tanren::formats {

// Remembers which members were asked for, so that the others can be found. Getters return nothing
// for an absent or null member, and throw Error(kInvalidArgument) with the place, what was found
// and what was expected for a wrong one. The object must outlive this.
class JsonFields {
 public:
  JsonFields(const nlohmann::json& object, std::string where);

  // Whether the key is there, null or not.
  bool Has(std::string_view key);
  std::optional<int64_t> Int(std::string_view key);
  std::optional<double> Number(std::string_view key);
  std::optional<bool> Bool(std::string_view key);
  std::optional<std::string> String(std::string_view key);
  // One integer or a list of them.
  std::optional<std::vector<int64_t>> Ints(std::string_view key);
  std::optional<std::vector<std::string>> Strings(std::string_view key);
  std::optional<JsonFields> Object(std::string_view key);

  int64_t RequiredInt(std::string_view key);
  [[noreturn]] void Fail(std::string_view key, std::string_view message) const;

  // Keys that nobody asked for and whose values say something: not null, false, zero or empty.
  std::vector<std::string> Unasked() const;

 private:
  // Null where it is absent or null.
  const nlohmann::json* Find(std::string_view key);
  [[noreturn]] void WrongType(std::string_view key, const nlohmann::json& found,
                              std::string_view expected) const;
  std::optional<int64_t> AsInt(const nlohmann::json& value) const;

  const nlohmann::json* object_;
  std::string where_;
  std::vector<std::string> asked_;
};

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_JSON_FIELDS_H_
