// Makes a tokenizer from the vocabulary in a GGUF: the same parts, read from other fields.
#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "runtime/text/tokenizer_parts.h"

namespace tanren::text {
namespace {

using nlohmann::json;

constexpr size_t kMaximumTokens = size_t{1} << 24;

[[noreturn]] void Refuse(std::string message) {
  throw Error(absl::InvalidArgumentError(std::move(message)));
}

// One token of a template, before or after the text.
void AddToTemplate(const TokenizerVocabulary& source, std::optional<int32_t> id,
                   std::string_view role, json* single, json* special_tokens) {
  if (!id || *id < 0 || static_cast<size_t>(*id) >= source.tokens.size()) {
    Refuse(fmt::format("add_{}_token is set, but there is no {} token", role, role));
  }
  const std::string& token = source.tokens[static_cast<size_t>(*id)];
  single->push_back({{"SpecialToken", {{"id", token}, {"type_id", 0}}}});
  (*special_tokens)[token] = {{"id", token}, {"ids", {*id}}, {"tokens", {token}}};
}

json PostProcessor(const TokenizerVocabulary& source, bool add_bos, bool add_eos) {
  if (!add_bos && !add_eos) return nullptr;
  json single = json::array(), special_tokens = json::object();
  if (add_bos) AddToTemplate(source, source.special.bos, "bos", &single, &special_tokens);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  if (add_eos) AddToTemplate(source, source.special.eos, "eos", &single, &special_tokens);
  json pair = single;
  for (json piece : single) {
    if (piece.contains("Sequence")) piece["Sequence"]["id"] = "B";
    piece.front()["type_id"] = 1;
    pair.push_back(piece);
  }
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", special_tokens}};
}

// Control tokens are special; user-defined ones are found in the text too, but not left out.
std::vector<AddedToken> AddTokens(const TokenizerVocabulary& source, Vocabulary* vocabulary) {
  if (source.tokens.size() > kMaximumTokens) {
    Refuse(fmt::format("{} tokens, more than {}", source.tokens.size(), kMaximumTokens));
  }
  const auto& types = source.token_types;
  if (!types.empty() && types.size() != source.tokens.size()) {
    Refuse(fmt::format("{} token types for {} tokens", types.size(), source.tokens.size()));
  }
  std::vector<AddedToken> added;
  for (size_t id = 0; id < source.tokens.size(); ++id) {
    vocabulary->Add(source.tokens[id], static_cast<int64_t>(id));
    const auto type = types.empty() ? TokenType::kNormal : static_cast<TokenType>(types[id]);
    if (type < TokenType::kNormal || type > TokenType::kUnused) {
      Refuse(fmt::format("token {} \"{}\" has the type {}, expected 1 to 5", id, source.tokens[id],
                         static_cast<int32_t>(type)));
    }
    if (type == TokenType::kNormal || type == TokenType::kUnused) continue;
    AddedToken token;
    token.id = static_cast<int32_t>(id);
    token.content = source.tokens[id];
    token.special = type != TokenType::kUserDefined;
    vocabulary->AddAdded(token);
    added.push_back(std::move(token));
  }
  return added;
}

TokenizerParts ReadParts(const TokenizerVocabulary& source) {
  if (source.model != "gpt2") {
    throw Error(absl::UnimplementedError(fmt::format(
        "tokenizer.ggml.model is \"{}\", expected \"gpt2\" (byte-level BPE)", source.model)));
  }
  const NamedPreTokenizer named = ValueOrThrow(FindPreTokenizer(source.pre_tokenizer));
  TokenizerParts parts;
  parts.vocabulary = Vocabulary(static_cast<int64_t>(source.tokens.size()));
  parts.added = AddTokens(source, &parts.vocabulary);
  parts.merges.reserve(source.merges.size());
  for (size_t i = 0; i < source.merges.size(); ++i) {
    try {
      parts.merges.push_back(ResolveMerge(parts.vocabulary, source.merges[i]));
    } catch (const Error& error) {
      Refuse(fmt::format("merge {}: {}", i, error.what()));
    }
  }
  parts.options.ignore_merges = named.ignore_merges;
  const json document = {
      {"normalizer", json::parse(named.normalizer)},
      {"pre_tokenizer", json::parse(named.pre_tokenizer)},
      {"post_processor", PostProcessor(source, source.add_bos.value_or(named.adds_bos),
                                       source.add_eos.value_or(false))},
      {"decoder",
       {{"type", "ByteLevel"},
        {"add_prefix_space", true},
        {"trim_offsets", true},
        {"use_regex", true}}}};
  parts.pipeline = ReadPipeline(document, "tokenizer");
  parts.special = source.special;
  parts.chat_template = source.chat_template;
  return parts;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::FromVocabulary(
    const TokenizerVocabulary& vocabulary) {
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = [&]() {
    try {
      return Create(ReadParts(vocabulary));
    } catch (...) {
      return absl::StatusOr<std::unique_ptr<Tokenizer>>(StatusOfCurrentException());
    }
  }();
  if (!tokenizer.ok()) return Annotate(tokenizer.status(), vocabulary.where);
  return tokenizer;
}

}  // namespace tanren::text
