// The way of a text to its ids: repair, added tokens, normalisation, added tokens that are looked
// for after it, words, byte-pair encoding.
#include "runtime/base/error.h"
#include "runtime/text/tokenizer_impl.h"
#include "runtime/text/unicode.h"

namespace tanren::text {
namespace {

constexpr size_t kMaximumText = size_t{1} << 30;  // bytes

class Encoder {
 public:
  // `ranges` may be null.
  Encoder(const Tokenizer::Impl& tokenizer, SpecialTokens mode, std::vector<int32_t>* ids,
          std::vector<ByteRange>* ranges)
      : tokenizer_(tokenizer),
        skip_special_(mode == SpecialTokens::kPlainText),
        ids_(ids),
        ranges_(ranges) {}

  void Text(std::string_view text) {
    if (text.size() > kMaximumText) {
      throw Error(absl::InvalidArgumentError(
          fmt::format("a text of {} bytes, more than {}", text.size(), kMaximumText)));
    }
    if (ValidPrefix(text) == text.size()) return Valid(text, SourceMap());
    SourceMap map;
    const std::string repaired = RepairUtf8(text, &map);
    Valid(repaired, map);
  }

 private:
  void Valid(std::string_view text, const SourceMap& map) {
    for (const AddedSection& section : tokenizer_.raw_finder.Split(text, skip_special_)) {
      if (section.token != nullptr) {
        Put(section.token->id, section.begin, section.end, map);
      } else {
        Section(text.substr(section.begin, section.end - section.begin),
                SourceMap(&map, section.begin));
      }
    }
  }

  void Section(std::string_view text, const SourceMap& map) {
    std::string changed;
    SourceMap changed_map(&map);
    if (tokenizer_.parts.pipeline.nfc && NormalizeNfc(text, &changed, &changed_map)) {
      Normal(changed, changed_map);
    } else {
      Normal(text, map);
    }
  }

  void Normal(std::string_view text, const SourceMap& map) {
    if (tokenizer_.normalized_finder.empty()) return Words(text, map);
    for (const AddedSection& section : tokenizer_.normalized_finder.Split(text, skip_special_)) {
      if (section.token != nullptr) {
        Put(section.token->id, section.begin, section.end, map);
      } else {
        Words(text.substr(section.begin, section.end - section.begin),
              SourceMap(&map, section.begin));
      }
    }
  }

  void Words(std::string_view text, const SourceMap& map) {
    SplitText split;
    split.text = text;
    split.words = {{0, text.size()}};
    split.map = &map;
    for (const auto& step : tokenizer_.parts.pipeline.steps) step->Split(&split);
    for (const TextSpan& word : split.words) {
      symbols_.clear();
      tokenizer_.bpe.Encode(split.text.substr(word.begin, word.end - word.begin), &symbols_);
      for (const BpeSymbol& symbol : symbols_) {
        Put(symbol.id, word.begin + symbol.begin, word.begin + symbol.end, *split.map);
      }
    }
  }

  void Put(int32_t id, size_t begin, size_t end, const SourceMap& map) {
    ids_->push_back(id);
    if (ranges_ != nullptr) ranges_->push_back(map.Source(begin, end));
  }

  const Tokenizer::Impl& tokenizer_;
  bool skip_special_;
  std::vector<int32_t>* ids_;
  std::vector<ByteRange>* ranges_;
  std::vector<BpeSymbol> symbols_;
};

}  // namespace

std::vector<int32_t> Tokenizer::Encode(std::string_view text, SpecialTokens mode) const {
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 1);
  Encoder(*impl_, mode, &ids, nullptr).Text(text);
  return ids;
}

Encoding Tokenizer::EncodeWithOffsets(std::string_view text, SpecialTokens mode) const {
  Encoding encoding;
  Encoder(*impl_, mode, &encoding.ids, &encoding.ranges).Text(text);
  return encoding;
}

}  // namespace tanren::text
