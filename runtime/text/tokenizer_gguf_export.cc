// Writes a tokenizer as the vocabulary of a GGUF: the reverse of tokenizer_gguf.cc.
#include <utility>

#include "runtime/base/error.h"
#include "runtime/text/tokenizer_impl.h"

namespace tanren::text {
namespace {

absl::Status CheckAdded(const AddedToken& token) {
  const std::pair<bool, std::string_view> settings[] = {
      {token.lstrip, "lstrip"}, {token.rstrip, "rstrip"}, {token.single_word, "single_word"}};
  for (const auto& [set, name] : settings) {
    if (set) {
      return absl::UnimplementedError(fmt::format(
          "the added token \"{}\" has {} set, which a GGUF can't express", token.content, name));
    }
  }
  return absl::OkStatus();
}

// Whether the token `id` is all that stands on this side of a text. It is known to the GGUF by its
// role alone; where it has none yet, it gets it.
absl::StatusOr<bool> IsAlone(const std::vector<int32_t>& side, std::string_view role,
                             std::string_view place, std::optional<int32_t>* id) {
  if (side.empty()) return false;
  if (side.size() > 1 || side[0] != id->value_or(side[0])) {
    return absl::UnimplementedError(
        fmt::format("the post_processor puts other tokens {} a text than the {} token, which a "
                    "GGUF can't express",
                    place, role));
  }
  *id = side[0];
  return true;
}

absl::StatusOr<std::vector<std::string>> MergesOf(const TokenizerParts& parts) {
  const auto text = [&](int32_t id) -> const std::string& {
    return parts.vocabulary.Get(id)->text;
  };
  std::vector<std::string> merges;
  merges.reserve(parts.merges.size());
  for (const BpeMerge& merge : parts.merges) {
    for (const int32_t id : {merge.left, merge.right}) {
      if (text(id).find(' ') != std::string::npos) {
        return absl::UnimplementedError(fmt::format(
            "merge {}: the token \"{}\" holds a space, which a GGUF can't express in a merge",
            merges.size(), text(id)));
      }
    }
    merges.push_back(text(merge.left) + " " + text(merge.right));
  }
  return merges;
}

// A name as llama.cpp's converter gives it, that no other token has.
std::string UnusedName(const Vocabulary& vocabulary, int32_t id) {
  std::string name = fmt::format("[PAD{}]", id);
  while (vocabulary.Find(name)) name += "_";
  return name;
}

}  // namespace

absl::StatusOr<TokenizerVocabulary> Tokenizer::ToVocabulary(int32_t size) const {
  const TokenizerParts& parts = impl_->parts;
  if (size < vocabulary_size()) {
    return absl::InvalidArgumentError(
        fmt::format("{} tokens don't fit into a vocabulary of {}", vocabulary_size(), size));
  }
  TokenizerVocabulary result;
  TANREN_ASSIGN_OR_RETURN(
      const std::string_view name,
      NameOfPreTokenizer(parts.pipeline.normalizer, parts.pipeline.pre_tokenizer,
                         parts.options.ignore_merges));
  result.pre_tokenizer = name;
  result.special = parts.special;
  TANREN_ASSIGN_OR_RETURN(result.add_bos,
                          IsAlone(prefix_ids(), "bos", "before", &result.special.bos));
  TANREN_ASSIGN_OR_RETURN(result.add_eos,
                          IsAlone(suffix_ids(), "eos", "after", &result.special.eos));
  for (int32_t id = 0; id < size; ++id) {
    const Vocabulary::Entry* entry = parts.vocabulary.Get(id);
    result.tokens.push_back(entry == nullptr ? UnusedName(parts.vocabulary, id) : entry->text);
    result.token_types.push_back(
        static_cast<int32_t>(entry == nullptr ? TokenType::kUnused : TokenType::kNormal));
  }
  for (const AddedToken& token : parts.added) {
    TANREN_RETURN_IF_ERROR(CheckAdded(token));
    result.token_types[static_cast<size_t>(token.id)] =
        static_cast<int32_t>(token.special ? TokenType::kControl : TokenType::kUserDefined);
  }
  TANREN_ASSIGN_OR_RETURN(result.merges, MergesOf(parts));
  result.chat_template = parts.chat_template;
  return result;
}

}  // namespace tanren::text
