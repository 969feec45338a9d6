#include "runtime/text/chat_template_input.h"

#include <limits>

#include "runtime/text/jinja_error.h"
#include "runtime/text/unicode.h"

namespace tanren::text {

namespace {

using Json = nlohmann::ordered_json;
using jinja::Dict;
using jinja::Fail;
using jinja::Value;

class Converter {
 public:
  // Without `origins`, values know no origin.
  Converter(std::vector<Origin>* origins, int message) : origins_(origins), message_(message) {}

  Value Convert(const Json& json, const std::string& place, const std::string& field, int depth) {
    if (depth > jinja::kMaxNesting) {
      jinja::OverLimit("{}{} nests more than {} deep", place, field, jinja::kMaxNesting);
    }
    switch (json.type()) {
      case Json::value_t::object:
        return Object(json, place, field, depth);
      case Json::value_t::array:
        return Array(json, place, field, depth);
      case Json::value_t::string:
        return String(json.get_ref<const std::string&>(), place, field);
      case Json::value_t::boolean:
        return Value(Value::Data(json.get<bool>()), AddOrigin(field, {}));
      case Json::value_t::number_integer:
        return Value(Value::Data(json.get<int64_t>()), AddOrigin(field, json.dump()));
      case Json::value_t::number_unsigned:
        if (json.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
          Fail("{}{}: {} doesn't fit 64 bits with a sign", place, field, json.get<uint64_t>());
        }
        return Value(Value::Data(json.get<int64_t>()), AddOrigin(field, json.dump()));
      case Json::value_t::number_float:
        return Value(Value::Data(json.get<double>()), AddOrigin(field, json.dump()));
      case Json::value_t::null:
        return Value(Value::Data(jinja::None{}), AddOrigin(field, {}));
      default:
        Fail("{}{}: binary values are not for templates", place, field);
    }
  }

 private:
  int AddOrigin(const std::string& field, const std::string& source) {
    if (origins_ == nullptr) return -1;
    origins_->push_back({message_, field, source});
    return static_cast<int>(origins_->size()) - 1;
  }

  static void CheckUtf8(const std::string& text, const std::string& place,
                        const std::string& field) {
    const size_t valid = ValidPrefix(text);
    if (valid != text.size()) Fail("{}{}: byte {} is not UTF-8", place, field, valid);
  }

  Value String(const std::string& text, const std::string& place, const std::string& field) {
    CheckUtf8(text, place, field);
    return Value::MakeText(TrackedText(text, AddOrigin(field, text), /*copied=*/true));
  }

  Value Array(const Json& json, const std::string& place, const std::string& field, int depth) {
    const int origin = AddOrigin(field, {});
    std::vector<Value> items;
    for (size_t i = 0; i < json.size(); ++i) {
      items.push_back(Convert(json[i], place, fmt::format("{}[{}]", field, i), depth + 1));
    }
    return jinja::MakeSequence(std::move(items), jinja::Sequence::Form::kList, origin);
  }

  Value Object(const Json& json, const std::string& place, const std::string& field, int depth) {
    const int origin = AddOrigin(field, {});
    Dict dict;
    for (const auto& [key, value] : json.items()) {
      CheckUtf8(key, place, field + " key");
      const std::string inner = field.empty() ? key : field + "." + key;
      // A key stands for its object: it is no copy of a string value.
      dict.Set(Value::MakeText(TrackedText(key, origin, /*copied=*/false)),
               Convert(value, place, inner, depth + 1));
    }
    return jinja::MakeDict(std::move(dict), origin);
  }

  std::vector<Origin>* origins_;
  int message_;
};

// transformers' names for one thing. The first that is there gives the value; templates that know
// one of the first two find it.
Value WithReasoningNames(const Value& message) {
  const Dict& dict = *message.dict();
  const Value* reasoning = nullptr;
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    const Value* found = dict.Find(std::string(name));
    if (found == nullptr || found->IsNone()) continue;
    reasoning = found;
    break;
  }
  if (reasoning == nullptr) return message;
  Dict renamed;
  renamed.Set(Value::MakeText("thinking"), *reasoning);
  for (const auto& [key, value] : dict.entries) renamed.Set(key, value);
  renamed.Set(Value::MakeText("reasoning_content"), *reasoning);
  return jinja::MakeDict(std::move(renamed), message.origin());
}

}  // namespace

Value ValueFromJson(const Json& json, const std::string& place) {
  return Converter(nullptr, -1).Convert(json, place, "", 1);
}

Value MessagesFromJson(const Json& messages, std::vector<Origin>* origins) {
  if (!messages.is_array()) Fail("messages: expected an array, found {}", messages.type_name());
  std::vector<Value> values;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (!messages[i].is_object()) {
      Fail("messages[{}]: expected an object, found {}", i, messages[i].type_name());
    }
    const std::string place = fmt::format("messages[{}] ", i);
    const Value message =
        Converter(origins, static_cast<int>(i)).Convert(messages[i], place, "", 2);
    values.push_back(WithReasoningNames(message));
  }
  return jinja::MakeSequence(std::move(values));
}

}  // namespace tanren::text
