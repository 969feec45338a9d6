#include "trainer/data/example.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::trainer {
namespace {

using Json = nlohmann::ordered_json;

// Deeper nesting than any real row has; what reads the values may recurse.
constexpr int kMaximumDepth = 64;
// More keys than any real object has; each new one is compared with all before it.
constexpr size_t kMaximumKeys = 10'000;
// Of a parser's message, which may quote a whole value.
constexpr size_t kMaximumReason = 300;

absl::Status Invalid(std::string message) { return absl::InvalidArgumentError(std::move(message)); }

std::string KeysOf(const Json& row) {
  std::string keys;
  for (const auto& [key, value] : row.items()) {
    if (!keys.empty()) keys += ", ";
    if (keys.size() > 200) return keys + "…";
    keys += key;
  }
  return keys.empty() ? "none" : keys;
}

absl::StatusOr<std::string> StringAt(const Json& row, std::string_view key) {
  const auto found = row.find(key);
  if (found == row.end()) {
    return Invalid(fmt::format("no key \"{}\"; the row's keys: {}", key, KeysOf(row)));
  }
  if (!found->is_string()) {
    return Invalid(fmt::format("\"{}\" is {}, expected a string", key, found->type_name()));
  }
  return found->get<std::string>();
}

absl::Status CheckMessages(const Json& messages, std::string_view key) {
  if (!messages.is_array() || messages.empty()) {
    return Invalid(fmt::format("\"{}\" is {}, expected an array with at least one message", key,
                               messages.is_array() ? "empty" : messages.type_name()));
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    const Json& message = messages[i];
    if (!message.is_object()) {
      return Invalid(fmt::format("{}[{}] is {}, expected an object", key, i, message.type_name()));
    }
    const auto role = message.find("role");
    if (role == message.end() || !role->is_string()) {
      return Invalid(fmt::format("{}[{}] has no string \"role\"", key, i));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Example> FromMessages(const Json& row) {
  const auto messages = row.find("messages");
  if (messages == row.end()) {
    return Invalid(fmt::format("no key \"messages\"; the row's keys: {}", KeysOf(row)));
  }
  TANREN_RETURN_IF_ERROR(CheckMessages(*messages, "messages"));
  Conversation conversation{.messages = *messages};
  if (const auto tools = row.find("tools"); tools != row.end() && !tools->is_null()) {
    if (!tools->is_array()) {
      return Invalid(fmt::format("\"tools\" is {}, expected an array", tools->type_name()));
    }
    conversation.tools = *tools;
  }
  return conversation;
}

absl::StatusOr<Example> FromPromptCompletion(const Json& row) {
  if (row.contains("prompt") && row["prompt"].is_array()) {
    TANREN_RETURN_IF_ERROR(CheckMessages(row["prompt"], "prompt"));
    TANREN_RETURN_IF_ERROR(CheckMessages(row.value("completion", Json()), "completion"));
    Conversation conversation{.messages = row["prompt"], .prompt_messages = row["prompt"].size()};
    for (const Json& message : row["completion"]) conversation.messages.push_back(message);
    return conversation;
  }
  PromptCompletion result;
  TANREN_ASSIGN_OR_RETURN(result.prompt, StringAt(row, "prompt"));
  TANREN_ASSIGN_OR_RETURN(result.completion, StringAt(row, "completion"));
  return result;
}

absl::StatusOr<Example> FromText(const Json& row) {
  PlainText result;
  TANREN_ASSIGN_OR_RETURN(result.text, StringAt(row, "text"));
  return result;
}

absl::StatusOr<Example> FromInstruction(const Json& row) {
  TANREN_ASSIGN_OR_RETURN(std::string question, StringAt(row, "instruction"));
  TANREN_ASSIGN_OR_RETURN(const std::string answer, StringAt(row, "output"));
  if (const auto input = row.find("input"); input != row.end() && !input->is_null()) {
    TANREN_ASSIGN_OR_RETURN(const std::string text, StringAt(row, "input"));
    if (!text.empty()) question += "\n\n" + text;
  }
  return Conversation{.messages = Json::array({{{"role", "user"}, {"content", question}},
                                               {{"role", "assistant"}, {"content", answer}}})};
}

absl::StatusOr<RowFormat> Detect(const Json& row) {
  if (row.contains("messages")) return RowFormat::kMessages;
  if (row.contains("prompt") && row.contains("completion")) return RowFormat::kPromptCompletion;
  if (row.contains("text")) return RowFormat::kText;
  if (row.contains("instruction") && row.contains("output")) return RowFormat::kInstruction;
  return Invalid(
      fmt::format("the row's keys are {}; expected messages, or prompt and completion, or text, or "
                  "instruction and output",
                  KeysOf(row)));
}

absl::StatusOr<Json> ParseObject(std::string_view line) {
  std::vector<size_t> keys;  // of the objects that are open
  const auto limit = [&](int depth, Json::parse_event_t event, Json&) {
    if (depth > kMaximumDepth) {
      ThrowIfError(Invalid(fmt::format("nested deeper than {} levels", kMaximumDepth)));
    }
    if (event == Json::parse_event_t::object_start) keys.push_back(0);
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && ++keys.back() > kMaximumKeys) {
      ThrowIfError(Invalid(fmt::format("an object of more than {} keys", kMaximumKeys)));
    }
    return true;
  };
  Json row;
  try {
    row = Json::parse(line, limit);
  } catch (const Error& error) {
    return error.status();
  } catch (const Json::exception& error) {
    // "[…] parse error at line 1, column 9: …": of the row, which is a line, only the column
    // counts.
    std::string_view reason = error.what();
    reason = reason.substr(std::min(reason.size(), reason.find("column ")));
    if (reason.empty()) reason = error.what();
    return Invalid(fmt::format("not valid JSON: {:.{}}", reason, kMaximumReason));
  }
  if (!row.is_object()) {
    return Invalid(fmt::format("a row is {}, expected an object", row.type_name()));
  }
  return row;
}

}  // namespace

absl::StatusOr<Example> ParseExample(std::string_view line, RowFormat format) {
  TANREN_ASSIGN_OR_RETURN(const Json row, ParseObject(line));
  if (format == RowFormat::kAuto) {
    TANREN_ASSIGN_OR_RETURN(format, Detect(row));
  }
  switch (format) {
    case RowFormat::kMessages:
      return FromMessages(row);
    case RowFormat::kPromptCompletion:
      return FromPromptCompletion(row);
    case RowFormat::kText:
      return FromText(row);
    default:
      return FromInstruction(row);
  }
}

}  // namespace tanren::trainer
