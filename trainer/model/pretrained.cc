#include "trainer/model/pretrained.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "nlohmann/json.hpp"
#include "parallel/checkpoint/checkpoint_reader.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/formats/model_files.h"
#include "runtime/formats/model_files_text.h"

namespace tanren::trainer {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxTextFile = uint64_t{256} << 20;

absl::StatusOr<std::unique_ptr<text::Tokenizer>> FromGguf(const formats::GgufTokenizer& gguf,
                                                          const fs::path& path) {
  text::TokenizerVocabulary vocabulary;
  vocabulary.where = path.string();
  vocabulary.model = gguf.model;
  vocabulary.pre_tokenizer = gguf.pre;
  vocabulary.tokens = gguf.tokens;
  vocabulary.token_types = gguf.token_types;
  vocabulary.merges = gguf.merges;
  vocabulary.special = {gguf.bos_id, gguf.eos_id, gguf.pad_id, gguf.unk_id};
  vocabulary.add_bos = gguf.add_bos;
  vocabulary.add_eos = gguf.add_eos;
  return text::Tokenizer::FromVocabulary(vocabulary);
}

absl::Status SetTemplate(std::string source, const fs::path& where, ModelText& into) {
  absl::StatusOr<text::ChatTemplate> parsed = text::ChatTemplate::Parse(source);
  if (!parsed.ok()) {
    return Annotate(parsed.status(), where.string());
  }
  into.chat_template = std::make_shared<const text::ChatTemplate>(*std::move(parsed));
  into.chat_template_source = std::move(source);
  return absl::OkStatus();
}

// Of a Hugging Face directory; its chat template is left to the caller.
absl::StatusOr<ModelText> TextOfJson(const fs::path& directory, const std::string& tokenizer_json,
                                     const std::optional<std::string>& tokenizer_config_json) {
  TANREN_ASSIGN_OR_RETURN(
      std::unique_ptr<text::Tokenizer> tokenizer,
      text::Tokenizer::FromJson(tokenizer_json, (directory / "tokenizer.json").string()));
  if (tokenizer_config_json) {
    TANREN_RETURN_IF_ERROR(text::ApplyTokenizerConfig(
        *tokenizer_config_json, (directory / "tokenizer_config.json").string(), tokenizer.get()));
  }
  ModelText result;
  result.tokenizer = std::move(tokenizer);
  result.tokenizer_source = tokenizer_json;
  return result;
}

absl::StatusOr<ModelText> TextOf(const formats::ModelFiles& files) {
  ModelText result;
  if (files.gguf_tokenizer()) {
    TANREN_ASSIGN_OR_RETURN(result.tokenizer, FromGguf(*files.gguf_tokenizer(), files.path()));
  } else if (files.tokenizer_json()) {
    TANREN_ASSIGN_OR_RETURN(
        result, TextOfJson(files.path(), *files.tokenizer_json(), files.tokenizer_config_json()));
  }
  if (files.chat_template()) {
    TANREN_RETURN_IF_ERROR(SetTemplate(*files.chat_template(), files.path(), result));
  }
  return result;
}

// Whoever pre-trains has a tokenizer, and weights only afterwards: the directory needs none.
absl::StatusOr<ModelText> TextOfDirectory(const fs::path& directory) {
  TANREN_ASSIGN_OR_RETURN(const std::string tokenizer,
                          formats::ReadRequiredText(directory, "tokenizer.json"));
  TANREN_ASSIGN_OR_RETURN(const std::optional<std::string> config,
                          formats::ReadOptionalText(directory, "tokenizer_config.json"));
  TANREN_ASSIGN_OR_RETURN(std::optional<std::string> chat_template,
                          formats::ReadOptionalText(directory, "chat_template.jinja"));
  if (!chat_template && config) {
    TANREN_ASSIGN_OR_RETURN(
        chat_template,
        formats::ChatTemplateOf(*config, (directory / "tokenizer_config.json").string()));
  }
  TANREN_ASSIGN_OR_RETURN(ModelText result, TextOfJson(directory, tokenizer, config));
  if (chat_template) {
    TANREN_RETURN_IF_ERROR(SetTemplate(*std::move(chat_template), directory, result));
  }
  return result;
}

void AddEndTokens(const std::optional<std::string>& generation_config, std::vector<int32_t>& ends) {
  if (!generation_config) return;
  const nlohmann::json json = nlohmann::json::parse(*generation_config, nullptr, false);
  if (!json.is_object() || !json.contains("eos_token_id")) return;
  const nlohmann::json& eos = json["eos_token_id"];
  const auto add = [&](const nlohmann::json& id) {
    if (id.is_number_integer()) ends.push_back(id.get<int32_t>());
  };
  if (eos.is_array()) {
    for (const nlohmann::json& id : eos) add(id);
  } else {
    add(eos);
  }
}

std::vector<int32_t> EndTokens(const PretrainedModel& model,
                               const std::optional<std::string>& generation_config) {
  std::vector<int32_t> ends;
  for (int64_t id : model.config.eos_token_ids) ends.push_back(static_cast<int32_t>(id));
  AddEndTokens(generation_config, ends);
  if (model.text.tokenizer != nullptr && model.text.tokenizer->eos_id()) {
    ends.push_back(*model.text.tokenizer->eos_id());
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  return ends;
}

parallel::ParameterReader ReaderOf(std::shared_ptr<const formats::ModelFiles> files) {
  return [files = std::move(files)](const std::string& name, int64_t begin, int64_t end,
                                    std::span<float> values) {
    ThrowIfError(files->weights().Read(name, begin, end, values));
  };
}

absl::StatusOr<parallel::ParameterReader> ReaderOfCheckpoint(const fs::path& path) {
  TANREN_ASSIGN_OR_RETURN(parallel::CheckpointReader opened,
                          parallel::CheckpointReader::Open(path));
  auto reader = std::make_shared<const parallel::CheckpointReader>(std::move(opened));
  return [reader = std::move(reader)](const std::string& name, int64_t begin, int64_t end,
                                      std::span<float> values) {
    ThrowIfError(reader->Read(name, begin, end, values));
  };
}

}  // namespace

absl::StatusOr<ModelText> OpenModelText(const fs::path& path) {
  if (path.extension() == ".json") {
    TANREN_ASSIGN_OR_RETURN(std::string source, ReadFile(path, kMaxTextFile));
    ModelText result;
    TANREN_ASSIGN_OR_RETURN(result.tokenizer, text::Tokenizer::FromJson(source, path.string()));
    result.tokenizer_source = std::move(source);
    return result;
  }
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return TextOfDirectory(path);
  TANREN_ASSIGN_OR_RETURN(const formats::ModelFiles files, formats::ModelFiles::Open(path));
  return TextOf(files);
}

absl::StatusOr<PretrainedModel> OpenPretrained(const ModelPaths& paths) {
  PretrainedModel result;
  std::optional<std::string> generation_config;
  if (!paths.path.empty()) {
    TANREN_ASSIGN_OR_RETURN(formats::ModelFiles opened, formats::ModelFiles::Open(paths.path));
    auto files = std::make_shared<const formats::ModelFiles>(std::move(opened));
    result.config = files->config();
    generation_config = files->generation_config_json();
    TANREN_ASSIGN_OR_RETURN(result.text, TextOf(*files));
    result.read = ReaderOf(std::move(files));
  } else {
    TANREN_ASSIGN_OR_RETURN(const std::string text, ReadFile(paths.config, kMaxTextFile));
    TANREN_ASSIGN_OR_RETURN(result.config,
                            formats::ModelConfigFromJson(text, paths.config.string()));
  }
  if (!paths.tokenizer.empty()) {
    TANREN_ASSIGN_OR_RETURN(ModelText text, OpenModelText(paths.tokenizer));
    if (text.chat_template == nullptr) {
      text.chat_template = result.text.chat_template;
      text.chat_template_source = result.text.chat_template_source;
    }
    result.text = std::move(text);
  }
  if (!paths.chat_template.empty()) {
    TANREN_ASSIGN_OR_RETURN(std::string source, ReadFile(paths.chat_template, kMaxTextFile));
    TANREN_RETURN_IF_ERROR(SetTemplate(std::move(source), paths.chat_template, result.text));
  }
  if (!paths.checkpoint.empty()) {
    TANREN_ASSIGN_OR_RETURN(result.read, ReaderOfCheckpoint(paths.checkpoint));
  }
  TANREN_ASSIGN_OR_RETURN(result.model, BuildModel(result.config));

  const std::string where = (paths.path.empty() ? paths.config : paths.path).string();
  if (result.text.tokenizer == nullptr) {
    return absl::NotFoundError(
        fmt::format("{}: has no tokenizer.json, and no other tokenizer was "
                    "named",
                    where));
  }
  if (result.text.tokenizer->vocabulary_size() > result.config.vocab_size) {
    return absl::InvalidArgumentError(
        fmt::format("{}: the tokenizer has ids up to {}, the model a vocabulary of {}", where,
                    result.text.tokenizer->vocabulary_size() - 1, result.config.vocab_size));
  }
  result.end_tokens = EndTokens(result, generation_config);
  return result;
}

}  // namespace tanren::trainer
