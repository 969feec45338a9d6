// Which bytes of a rendered conversation a model is trained on: those that the assistant writes.
// Found from where the bytes came from, so that quotes of the assistant in a user's message, or
// templates that rewrite earlier turns, change nothing.
//
// For each assistant message that is asked for:
//  - Where the template has {% generation %} blocks, they are the targets.
//  - Else the target begins behind the generation prompt, where the text written at this message
//    starts with it: what follows ("<think>\n", "<tool_call>") the model has to write itself. If
//    the template has no such prompt, or this message starts otherwise, it begins at the first byte
//    of the message's content, reasoning or tool calls, or at white space before it if nothing else
//    of the message precedes. A tool call's opening literals belong to it where the template has no
//    generation prompt and no word of the role.
//  - It ends behind the first end token in the template's own text after the last byte of content,
//    still at this message; or right after the loop over messages ends. Without one it ends at the
//    last byte of content. An end token inside the content doesn't count.
//  - Bytes of other messages in between are left out.
//
// A message round-trips if what the template left of it is enough to read it again:
//  - Content (a string, or the "text" of its parts) stands in the text byte for byte, in order,
//  once.
//    White space at its ends may be missing. A <think>...</think> block in it may be missing whole,
//    and its tags and the white space around it may be rewritten.
//  - "reasoning_content", "reasoning" and "thinking" stand there whole or not at all.
//  - Of each tool call the name stands there whole, and of each of its arguments some byte (JSON
//    escapes rewrite them).
// Anything else is a problem, which callers should treat as an error of the conversation.
#ifndef TANREN_RUNTIME_TEXT_ASSISTANT_TARGETS_H_
#define TANREN_RUNTIME_TEXT_ASSISTANT_TARGETS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/text/chat_template.h"

namespace tanren::text {

// Bytes [begin, end) of RenderedChat::text.
struct TargetRange {
  size_t begin = 0;
  size_t end = 0;
  int message = -1;    // index in the conversation; -1: a generation block outside of the messages
  bool ended = false;  // the range ends with an end token
  bool operator==(const TargetRange&) const = default;
};

struct TargetOptions {
  enum class Which { kAllAssistantMessages, kLastAssistantMessage };
  Which which = Which::kAllAssistantMessages;
  // What ends a turn: "<|im_end|>", "<|eot_id|>", "</s>", ... Special tokens in general will do
  // where a turn's first one after the content is its end.
  std::vector<std::string> end_tokens;
  std::string role = "assistant";
};

struct RoundTripProblem {
  int message = -1;
  std::string field;
  std::string what;
};

struct AssistantTargetReport {
  std::vector<TargetRange> ranges;  // sorted, disjoint
  std::vector<RoundTripProblem> problems;
};

AssistantTargetReport ReportAssistantTargets(const RenderedChat& chat,
                                             const TargetOptions& options);

// The ranges; kInvalidArgument naming each problem if there is one.
absl::StatusOr<std::vector<TargetRange>> AssistantTargets(const RenderedChat& chat,
                                                          const TargetOptions& options);

// What of one assistant message isn't in the text as it should be.
std::vector<RoundTripProblem> RoundTripProblems(const RenderedChat& chat, int message);

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_ASSISTANT_TARGETS_H_
