// A GGUF as a model: configuration, weights under Hugging Face's names, tokenizer and template.
#include "runtime/formats/model_files.h"
#include "runtime/text/chat_template.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  static const fuzz::InputFolder folder;
  const auto files = formats::ModelFiles::Open(folder.Write("input.gguf", fuzz::Text(data, size)));
  if (!files.ok()) return 0;
  fuzz::ReadTensors(files->weights());
  if (files->chat_template()) (void)text::ChatTemplate::Parse(*files->chat_template());
  if (!files->gguf_tokenizer()) return 0;
  const formats::GgufTokenizer& gguf = *files->gguf_tokenizer();
  const auto tokenizer = text::Tokenizer::FromVocabulary(
      {.where = "input.gguf",
       .model = gguf.model,
       .pre_tokenizer = gguf.pre,
       .tokens = gguf.tokens,
       .token_types = gguf.token_types,
       .merges = gguf.merges,
       .special = {gguf.bos_id, gguf.eos_id, gguf.pad_id, gguf.unk_id},
       .add_bos = gguf.add_bos,
       .add_eos = gguf.add_eos});
  if (tokenizer.ok()) fuzz::UseTokenizer(**tokenizer);
  return 0;
}
