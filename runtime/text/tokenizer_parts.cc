#include "runtime/text/tokenizer_parts.h"

#include "runtime/base/error.h"
#include "runtime/text/bpe_bytes.h"
#include "runtime/text/unicode.h"

namespace tanren::text {
namespace {

[[noreturn]] void Refuse(std::string message) {
  throw Error(absl::InvalidArgumentError(std::move(message)));
}

int32_t Resolve(const Vocabulary& vocabulary, std::string_view token, std::string_view part) {
  const auto id = vocabulary.Find(token);
  if (!id || !vocabulary.Get(*id)->in_model) {
    Refuse(fmt::format("{} \"{}\" is not in the vocabulary", part, token));
  }
  return *id;
}

}  // namespace

Vocabulary::Entry& Vocabulary::Make(std::string_view text, int64_t id) {
  if (id < 0 || id >= limit_) {
    Refuse(fmt::format("token \"{}\" has the id {}, expected 0 to {}", text, id, limit_ - 1));
  }
  if (ValidPrefix(text) != text.size()) Refuse(fmt::format("token {} is not valid UTF-8", id));
  const auto index = static_cast<size_t>(id);
  if (index >= entries_.size()) entries_.resize(index + 1);
  Entry& entry = entries_[index];
  if (entry.present) {
    Refuse(fmt::format("the id {} is given to \"{}\" and to \"{}\"", id, entry.text, text));
  }
  if (!ids_.emplace(text, static_cast<int32_t>(id)).second) {
    Refuse(fmt::format("token \"{}\" has the ids {} and {}", text, *Find(text), id));
  }
  entry.present = true;
  entry.text = text;
  return entry;
}

void Vocabulary::Add(std::string_view text, int64_t id) {
  Entry& entry = Make(text, id);
  entry.in_model = true;
  entry.bytes = TokenBytes(text, &entry.in_alphabet);
}

void Vocabulary::AddAdded(const AddedToken& token) {
  const auto known = Find(token.content);
  if (known && *known != token.id) {
    Refuse(fmt::format("token \"{}\" has the ids {} and {}", token.content, *known, token.id));
  }
  Entry& entry = known ? entries_[static_cast<size_t>(*known)] : Make(token.content, token.id);
  entry.bytes = token.content;
  entry.special = token.special;
}

std::optional<int32_t> Vocabulary::Find(std::string_view text) const {
  const auto found = ids_.find(absl::string_view(text.data(), text.size()));
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

const Vocabulary::Entry* Vocabulary::Get(int64_t id) const {
  if (id < 0 || id >= static_cast<int64_t>(entries_.size())) return nullptr;
  const Entry& entry = entries_[static_cast<size_t>(id)];
  return entry.present ? &entry : nullptr;
}

BpeMerge ResolveMerge(const Vocabulary& vocabulary, std::string_view left, std::string_view right) {
  return {Resolve(vocabulary, left, "the left part"), Resolve(vocabulary, right, "the right part"),
          Resolve(vocabulary, std::string(left).append(right), "the result")};
}

BpeMerge ResolveMerge(const Vocabulary& vocabulary, std::string_view merge) {
  const size_t space = merge.find(' ');
  if (space == std::string_view::npos || merge.find(' ', space + 1) != std::string_view::npos) {
    Refuse(fmt::format("found \"{}\", expected two tokens with a space between them", merge));
  }
  return ResolveMerge(vocabulary, merge.substr(0, space), merge.substr(space + 1));
}

}  // namespace tanren::text
