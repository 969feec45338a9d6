#include "runtime/text/tokenizer.h"

#include <array>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/text/bpe_bytes.h"
#include "runtime/text/tokenizer_impl.h"
#include "runtime/text/unicode.h"

namespace tanren::text {
namespace {

std::array<int32_t, 256> ByteIds(const Vocabulary& vocabulary) {
  std::array<int32_t, 256> ids{};
  for (size_t byte = 0; byte < ids.size(); ++byte) {
    std::string text;
    AppendUtf8(ByteCharacter(static_cast<uint8_t>(byte)), &text);
    const auto id = vocabulary.Find(text);
    ids[byte] = id && vocabulary.Get(*id)->in_model ? *id : -1;
  }
  return ids;
}

// Special tokens are left out: the text of one that is not to be parsed must not become it.
std::vector<std::pair<std::string_view, int32_t>> WholeWords(const TokenizerParts& parts) {
  std::vector<std::pair<std::string_view, int32_t>> words;
  if (!parts.options.ignore_merges) return words;
  const auto& entries = parts.vocabulary.entries();
  for (size_t id = 0; id < entries.size(); ++id) {
    const Vocabulary::Entry& entry = entries[id];
    if (entry.present && entry.in_model && entry.in_alphabet && !entry.special) {
      words.emplace_back(entry.bytes, static_cast<int32_t>(id));
    }
  }
  return words;
}

// Nor is a special token ever joined together from others.
std::vector<BpeMerge> OrdinaryMerges(const TokenizerParts& parts) {
  std::vector<BpeMerge> merges = parts.merges;
  std::erase_if(merges,
                [&](const BpeMerge& merge) { return parts.vocabulary.Get(merge.result)->special; });
  return merges;
}

// `tokens` of which the `normalized` ones, or the others, are looked for.
AddedTokenFinder MakeFinder(const std::vector<AddedToken>& tokens, bool normalized) {
  std::vector<const AddedToken*> chosen;
  for (const AddedToken& token : tokens) {
    if (token.normalized == normalized) chosen.push_back(&token);
  }
  return AddedTokenFinder(chosen);
}

// The added tokens as they stand in a text that went through the normaliser.
std::vector<AddedToken> Normalized(std::vector<AddedToken> tokens, bool nfc) {
  for (AddedToken& token : tokens) {
    SourceMap unused;
    if (nfc && token.normalized) NormalizeNfc(token.content, &token.content, &unused);
  }
  return tokens;
}

}  // namespace

Tokenizer::Impl::Impl(TokenizerParts given)
    : parts(std::move(given)),
      bpe(ByteIds(parts.vocabulary), OrdinaryMerges(parts), WholeWords(parts), parts.options),
      added(Normalized(parts.added, parts.pipeline.nfc)),
      raw_finder(MakeFinder(added, false)),
      normalized_finder(MakeFinder(added, true)) {}

Tokenizer::Tokenizer(TokenizerParts parts) : impl_(std::make_unique<Impl>(std::move(parts))) {}
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Create(TokenizerParts parts) {
  for (const auto* side : {&parts.pipeline.prefix, &parts.pipeline.suffix}) {
    for (const int32_t id : *side) {
      if (parts.vocabulary.Get(id) == nullptr) {
        return absl::InvalidArgumentError(
            fmt::format("post_processor: no token has the id {}", id));
      }
    }
  }
  const SpecialTokenIds special = std::exchange(parts.special, {});
  std::unique_ptr<Tokenizer> tokenizer(new Tokenizer(std::move(parts)));
  TANREN_RETURN_IF_ERROR(tokenizer->set_special_ids(special));
  return tokenizer;
}

std::string_view Tokenizer::TokenBytes(int32_t id) const {
  const Vocabulary::Entry* entry = impl_->parts.vocabulary.Get(id);
  return entry == nullptr ? std::string_view() : entry->bytes;
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (!(skip_special && IsSpecial(id))) bytes.append(TokenBytes(id));
  }
  return ValidPrefix(bytes) == bytes.size() ? bytes : RepairUtf8(bytes);
}

std::optional<int32_t> Tokenizer::TokenToId(std::string_view token) const {
  return impl_->parts.vocabulary.Find(token);
}

std::optional<std::string_view> Tokenizer::IdToToken(int32_t id) const {
  const Vocabulary::Entry* entry = impl_->parts.vocabulary.Get(id);
  if (entry == nullptr) return std::nullopt;
  return entry->text;
}

int32_t Tokenizer::vocabulary_size() const {
  return static_cast<int32_t>(impl_->parts.vocabulary.entries().size());
}

bool Tokenizer::IsSpecial(int32_t id) const {
  const Vocabulary::Entry* entry = impl_->parts.vocabulary.Get(id);
  return entry != nullptr && entry->special;
}

const std::vector<int32_t>& Tokenizer::prefix_ids() const { return impl_->parts.pipeline.prefix; }
const std::vector<int32_t>& Tokenizer::suffix_ids() const { return impl_->parts.pipeline.suffix; }
const SpecialTokenIds& Tokenizer::special_ids() const { return impl_->parts.special; }
const std::string& Tokenizer::chat_template() const { return impl_->parts.chat_template; }

absl::Status Tokenizer::set_special_ids(const SpecialTokenIds& ids) {
  const std::pair<std::string_view, std::optional<int32_t>> roles[] = {
      {"bos", ids.bos}, {"eos", ids.eos}, {"pad", ids.pad}, {"unk", ids.unk}};
  for (const auto& [role, id] : roles) {
    if (id && impl_->parts.vocabulary.Get(*id) == nullptr) {
      return absl::InvalidArgumentError(fmt::format("the {} token has the id {}, expected 0 to {}",
                                                    role, *id, vocabulary_size() - 1));
    }
  }
  impl_->parts.special = ids;
  return absl::OkStatus();
}

std::string StreamingDecoder::Push(int32_t id) {
  if (skip_special_ && tokenizer_.IsSpecial(id)) return {};
  held_.append(tokenizer_.TokenBytes(id));
  // Hold back a sequence that the next token may complete; all before it is decided.
  size_t at = 0;
  while (at < held_.size()) {
    const std::string_view rest = std::string_view(held_).substr(at);
    const size_t good = ValidPrefix(rest);
    at += good;
    const DecodedCodePoint bad = DecodeFirst(rest.substr(good));
    if (bad.truncated) break;
    at += bad.length;
  }
  std::string out = RepairUtf8(std::string_view(held_).substr(0, at));
  held_.erase(0, at);
  return out;
}

std::string StreamingDecoder::Finish() {
  std::string out = RepairUtf8(held_);
  held_.clear();
  return out;
}

}  // namespace tanren::text
