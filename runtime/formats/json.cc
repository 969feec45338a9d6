#include "runtime/formats/json.h"

#include <string>
#include <unordered_set>
#include <vector>

#include "runtime/base/error.h"

namespace tanren::formats {

absl::StatusOr<nlohmann::json> ParseJsonObject(std::string_view text, std::string_view where) {
  using Event = nlohmann::json::parse_event_t;
  constexpr int kMaxDepth = 64;
  std::vector<std::unordered_set<std::string>> keys;  // of the objects that are open
  const auto check = [&](int depth, Event event, nlohmann::json& value) {
    if (depth > kMaxDepth) {
      throw Error(
          absl::InvalidArgumentError(fmt::format("{}: nested deeper than {}", where, kMaxDepth)));
    }
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(value.get<std::string>()).second) {
      throw Error(absl::InvalidArgumentError(
          fmt::format("{}: the key \"{}\" is there twice", where, value.get<std::string>())));
    }
    return true;
  };
  try {
    nlohmann::json json = nlohmann::json::parse(text, check);
    if (!json.is_object()) {
      return absl::InvalidArgumentError(
          fmt::format("{}: found {}, expected an object", where, json.type_name()));
    }
    return json;
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", where, error.what()));
  } catch (const Error& error) {
    return error.status();
  }
}

}  // namespace tanren::formats
