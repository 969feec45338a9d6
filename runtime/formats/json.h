// Reads JSON from outside: whole, an object, and with no key twice.
#ifndef TANREN_RUNTIME_FORMATS_JSON_H_
#define TANREN_RUNTIME_FORMATS_JSON_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace tanren::formats {

// kInvalidArgument names `where` and the place. Objects nested deeper than 64 are refused.
absl::StatusOr<nlohmann::json> ParseJsonObject(std::string_view text, std::string_view where);

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_JSON_H_
