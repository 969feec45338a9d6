// Writes a tokenizer in the form that Hugging Face's libraries load.
#include "nlohmann/json.hpp"
#include "runtime/text/tokenizer_impl.h"

namespace tanren::text {
namespace {

using nlohmann::json;

json AddedTokenJson(const AddedToken& token) {
  return {{"content", token.content},         {"special", token.special},
          {"single_word", token.single_word}, {"lstrip", token.lstrip},
          {"rstrip", token.rstrip},           {"normalized", token.normalized}};
}

json ModelJson(const TokenizerParts& parts) {
  const auto& entries = parts.vocabulary.entries();
  const auto text = [&](int32_t id) { return entries[static_cast<size_t>(id)].text; };
  json vocab = json::object();
  for (size_t id = 0; id < entries.size(); ++id) {
    if (entries[id].in_model) vocab[entries[id].text] = id;
  }
  json merges = json::array();
  for (const BpeMerge& merge : parts.merges) {
    merges.push_back({text(merge.left), text(merge.right)});
  }
  json unknown;
  if (parts.options.unknown_id) unknown = text(*parts.options.unknown_id);
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", unknown},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", parts.options.fuse_unknown},
          {"byte_fallback", false},
          {"ignore_merges", parts.options.ignore_merges},
          {"vocab", std::move(vocab)},
          {"merges", std::move(merges)}};
}

}  // namespace

std::string Tokenizer::ToJson() const {
  const TokenizerParts& parts = impl_->parts;
  json added = json::array();
  for (const AddedToken& token : parts.added) {
    added.push_back(AddedTokenJson(token));
    added.back()["id"] = token.id;
  }
  const json document = {{"version", "1.0"},
                         {"truncation", nullptr},
                         {"padding", nullptr},
                         {"added_tokens", std::move(added)},
                         {"normalizer", json::parse(parts.pipeline.normalizer)},
                         {"pre_tokenizer", json::parse(parts.pipeline.pre_tokenizer)},
                         {"post_processor", json::parse(parts.pipeline.post_processor)},
                         {"decoder", json::parse(parts.pipeline.decoder)},
                         {"model", ModelJson(parts)}};
  return document.dump(1);
}

std::string Tokenizer::ToConfigJson(std::string_view chat_template) const {
  const TokenizerParts& parts = impl_->parts;
  json added = json::object();
  for (const AddedToken& token : parts.added) {
    added[std::to_string(token.id)] = AddedTokenJson(token);
  }
  json document = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                   {"clean_up_tokenization_spaces", false},
                   {"added_tokens_decoder", std::move(added)}};
  const auto put = [&](const char* key, std::optional<int32_t> id) {
    document[key] = nullptr;
    if (id) document[key] = parts.vocabulary.Get(*id)->text;
  };
  put("bos_token", parts.special.bos);
  put("eos_token", parts.special.eos);
  put("pad_token", parts.special.pad);
  put("unk_token", parts.special.unk);
  if (!chat_template.empty()) document["chat_template"] = chat_template;
  return document.dump(2, ' ', false, json::error_handler_t::replace);
}

}  // namespace tanren::text
