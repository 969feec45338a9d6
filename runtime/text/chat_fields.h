// Which fields of a message are what its author wrote.
#ifndef TANREN_RUNTIME_TEXT_CHAT_FIELDS_H_
#define TANREN_RUNTIME_TEXT_CHAT_FIELDS_H_

#include <string_view>

namespace tanren::text {

enum class FieldKind {
  kOther,  // role, name, ids, types
  kContent,
  kReasoning,
  kToolName,
  kToolArgument,  // a value in a call's arguments, or all of them as one
  kToolCall,      // other parts of a tool call
};

// `field` as Origin has it.
FieldKind KindOfField(std::string_view field);

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_CHAT_FIELDS_H_
