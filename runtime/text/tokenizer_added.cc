#include "runtime/text/tokenizer_added.h"

#include <algorithm>

#include "runtime/text/unicode.h"

namespace tanren::text {
namespace {

uint64_t EdgeKey(uint32_t node, char byte) {
  return uint64_t{node} << 8 | static_cast<uint8_t>(byte);
}

bool StandsAlone(std::string_view text, size_t begin, size_t end) {
  const bool before = begin > 0 && IsWord(DecodeLast(text.substr(0, begin)));
  const bool after = end < text.size() && IsWord(DecodeFirst(text.substr(end)).code_point);
  return !before && !after;
}

size_t StripLeft(std::string_view text, size_t begin, size_t limit) {
  while (begin > limit) {
    const char32_t c = DecodeLast(text.substr(0, begin));
    if (!IsSpace(c)) break;
    begin -= c < 0x80 ? 1 : c < 0x800 ? 2 : 3;  // no white space lies above U+FFFF
  }
  return begin;
}

size_t StripRight(std::string_view text, size_t end) {
  while (end < text.size()) {
    const DecodedCodePoint c = DecodeFirst(text.substr(end));
    if (!IsSpace(c.code_point)) break;
    end += c.length;
  }
  return end;
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(const std::vector<const AddedToken*>& tokens)
    : tokens_(tokens), ends_(1, -1) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    uint32_t node = 0;
    for (const char byte : tokens_[i]->content) {
      const auto [edge, fresh] =
          edges_.try_emplace(EdgeKey(node, byte), static_cast<uint32_t>(ends_.size()));
      if (fresh) ends_.push_back(-1);
      node = edge->second;
    }
    if (node == 0) continue;  // an empty text is found nowhere
    ends_[node] = static_cast<int32_t>(i);
    starts_[static_cast<uint8_t>(tokens_[i]->content.front())] = true;
  }
}

AddedTokenFinder::Match AddedTokenFinder::LongestAt(std::string_view text, size_t begin) const {
  Match match;
  uint32_t node = 0;
  for (size_t at = begin; at < text.size(); ++at) {
    const auto edge = edges_.find(EdgeKey(node, text[at]));
    if (edge == edges_.end()) break;
    node = edge->second;
    if (ends_[node] >= 0) match = {ends_[node], at + 1 - begin};
  }
  return match;
}

std::vector<AddedSection> AddedTokenFinder::Split(std::string_view text, bool skip_special) const {
  std::vector<AddedSection> sections;
  size_t done = 0;  // everything before this byte is in a section
  for (size_t at = 0; at < text.size();) {
    if (!starts_[static_cast<uint8_t>(text[at])]) {
      ++at;
      continue;
    }
    const Match match = LongestAt(text, at);
    if (match.token < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = *tokens_[static_cast<size_t>(match.token)];
    size_t begin = at;
    size_t end = at + match.length;
    at = end;
    if (token.special && skip_special) continue;
    if (token.single_word && !StandsAlone(text, begin, end)) continue;
    if (token.lstrip) begin = StripLeft(text, begin, done);
    if (token.rstrip) end = StripRight(text, end);
    if (done < begin) sections.push_back({nullptr, done, begin});
    sections.push_back({&token, begin, end});
    at = done = end;
  }
  if (done < text.size()) sections.push_back({nullptr, done, text.size()});
  return sections;
}

}  // namespace tanren::text
