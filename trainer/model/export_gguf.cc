#include "trainer/model/export_gguf.h"

#include <algorithm>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/formats/gguf_export.h"

namespace tanren::trainer {
namespace {

formats::GgufTokenizer TokenizerOf(text::TokenizerVocabulary vocabulary) {
  formats::GgufTokenizer result;
  result.model = std::move(vocabulary.model);
  result.pre = std::move(vocabulary.pre_tokenizer);
  result.tokens = std::move(vocabulary.tokens);
  result.token_types = std::move(vocabulary.token_types);
  result.merges = std::move(vocabulary.merges);
  result.bos_id = vocabulary.special.bos;
  result.eos_id = vocabulary.special.eos;
  result.pad_id = vocabulary.special.pad;
  result.unk_id = vocabulary.special.unk;
  result.add_bos = vocabulary.add_bos;
  // Absent means no, and most files leave it out.
  if (vocabulary.add_eos == true) result.add_eos = true;
  return result;
}

// The tokenizer's roles before the configuration's: it is from its file that programs render chats.
// All tokens that end an answer are kept.
void SetTokenIds(const formats::GgufTokenizer& tokenizer, const std::vector<int32_t>& end_tokens,
                 formats::ModelConfig& config) {
  if (tokenizer.bos_id) config.bos_token_id = tokenizer.bos_id;
  if (tokenizer.pad_id) config.pad_token_id = tokenizer.pad_id;
  std::vector<int64_t> ends;
  const auto add = [&](int64_t id) {
    if (std::find(ends.begin(), ends.end(), id) == ends.end()) ends.push_back(id);
  };
  if (tokenizer.eos_id) add(*tokenizer.eos_id);
  for (const int64_t id : config.eos_token_ids) add(id);
  for (const int32_t id : end_tokens) add(id);
  config.eos_token_ids = std::move(ends);
}

}  // namespace

absl::Status ExportGguf(const PretrainedModel& model, formats::DType dtype,
                        const std::filesystem::path& file) {
  TANREN_CHECK(model.read != nullptr, "the model has no weights to export");
  absl::StatusOr<text::TokenizerVocabulary> vocabulary =
      model.text.tokenizer->ToVocabulary(static_cast<int32_t>(model.config.vocab_size));
  if (!vocabulary.ok()) {
    return Annotate(vocabulary.status(), fmt::format("{}: the tokenizer", file.string()));
  }
  formats::GgufModel gguf;
  gguf.config = model.config;
  gguf.name = file.stem().string();
  gguf.tokenizer = TokenizerOf(*std::move(vocabulary));
  gguf.chat_template = model.text.chat_template_source;
  SetTokenIds(*gguf.tokenizer, model.end_tokens, gguf.config);
  const auto read = [&](const std::string& name, int64_t begin, int64_t end,
                        std::span<float> values) -> absl::Status {
    try {
      model.read(name, begin, end, values);
      return absl::OkStatus();
    } catch (...) {
      return StatusOfCurrentException();
    }
  };
  return formats::WriteGgufModel(file, gguf, dtype, read);
}

}  // namespace tanren::trainer
