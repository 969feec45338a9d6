// A chat template, rendered for a conversation with everything in it.
#include "runtime/text/assistant_targets.h"
#include "runtime/text/chat_template.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

tanren::text::ChatInput Conversation() {
  using Json = nlohmann::ordered_json;
  tanren::text::ChatInput input;
  input.messages = Json::parse(R"([
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "What's 2 + 2? \"<b>\""}]},
    {"role": "assistant", "content": "", "reasoning_content": "Add.",
     "tool_calls": [{"type": "function", "id": "abc123456",
                     "function": {"name": "add", "arguments": {"a": 2, "b": [2.5, null]}}}]},
    {"role": "tool", "name": "add", "tool_call_id": "abc123456", "content": "4"},
    {"role": "assistant", "content": "<think>\nSo\n</think>\n\n It is 4: \u00e9\ud83d\ude00\n"}])");
  input.tools = Json::parse(R"([{"type": "function", "function": {"name": "add",
    "description": "Adds.", "parameters": {"type": "object", "properties":
    {"a": {"type": "number"}}, "required": ["a"]}}}])");
  input.documents = Json::parse(R"([{"title": "T", "text": "x"}])");
  input.bos_token = "<s>";
  input.eos_token = "</s>";
  input.variables = {{"enable_thinking", true}, {"numbers", {3, 1, 2}}, {"table", {{"k", "v"}}}};
  input.now = std::chrono::local_seconds(std::chrono::seconds(1'700'000'000));
  input.limits = {.max_steps = 100'000, .max_text_bytes = 1 << 20};
  return input;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  static const text::ChatInput input = Conversation();
  const auto parsed = text::ChatTemplate::Parse(fuzz::Text(data, size));
  if (!parsed.ok()) return 0;
  const auto chat = parsed->Render(input);
  if (!chat.ok()) return 0;
  size_t end = 0;
  for (const text::Span& span : chat->spans) {
    fuzz::Demand(span.begin == end && span.end >= span.begin, "spans follow each other");
    end = span.end;
  }
  fuzz::Demand(end == chat->text.size(), "spans cover the text");
  const auto report = text::ReportAssistantTargets(*chat, {.end_tokens = {"<|im_end|>", "</s>"}});
  end = 0;
  for (const text::TargetRange& range : report.ranges) {
    fuzz::Demand(range.begin >= end && range.end >= range.begin, "targets are sorted, disjoint");
    end = range.end;
  }
  fuzz::Demand(end <= chat->text.size(), "targets lie in the text");
  return 0;
}
