// A JSONL file of training data; conversations in it are rendered.
#include "runtime/base/error.h"
#include "runtime/text/assistant_targets.h"
#include "runtime/text/chat_template.h"
#include "tests/fuzz/fuzz_input.h"
#include "trainer/data/example.h"
#include "trainer/data/jsonl_file.h"

namespace {

constexpr const char* kTemplate =
    "{%- for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "{% if message.tool_calls %}{{ message.tool_calls | tojson }}{% endif %}<|im_end|>\n"
    "{%- endfor %}{{ tools | tojson }}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  using trainer::RowFormat;
  static const fuzz::InputFolder folder;
  static const text::ChatTemplate chat = ValueOrThrow(text::ChatTemplate::Parse(kTemplate));
  const auto file = trainer::JsonlFile::Open(folder.Write("input.jsonl", fuzz::Text(data, size)));
  if (!file.ok()) return 0;
  for (size_t row = 0; row < file->row_count(); ++row) {
    (void)file->Where(row);
    const auto line = file->Row(row);
    fuzz::Demand(line.ok() && !line->empty(), "a row is there and holds something");
    for (const RowFormat format : {RowFormat::kAuto, RowFormat::kMessages,
                                   RowFormat::kPromptCompletion, RowFormat::kInstruction}) {
      const auto example = trainer::ParseExample(*line, format);
      if (!example.ok()) continue;
      const auto* conversation = std::get_if<trainer::Conversation>(&*example);
      if (conversation == nullptr) continue;
      const auto rendered =
          chat.Render({.messages = conversation->messages, .tools = conversation->tools});
      if (rendered.ok()) {
        (void)text::ReportAssistantTargets(*rendered, {.end_tokens = {"<|im_end|>"}});
      }
    }
  }
  return 0;
}
