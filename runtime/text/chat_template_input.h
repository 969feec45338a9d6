// Turns JSON into the values that a template sees, with their origins.
#ifndef TANREN_RUNTIME_TEXT_CHAT_TEMPLATE_INPUT_H_
#define TANREN_RUNTIME_TEXT_CHAT_TEMPLATE_INPUT_H_

#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "runtime/text/jinja_value.h"

namespace tanren::text {

// Throw Error for values that a template can't hold; `place` names them.
jinja::Value ValueFromJson(const nlohmann::ordered_json& json, const std::string& place);
// The conversation; adds an Origin for each value in it. Reasoning gets its other names.
jinja::Value MessagesFromJson(const nlohmann::ordered_json& messages, std::vector<Origin>* origins);

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_CHAT_TEMPLATE_INPUT_H_
