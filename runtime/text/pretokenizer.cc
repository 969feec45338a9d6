#include "runtime/text/pretokenizer.h"

#include <utility>

#include "runtime/base/error.h"
#include "runtime/text/unicode.h"

namespace tanren::text {
namespace {

struct Part {
  TextSpan span;
  bool matched = false;
};

// The whole of a word as parts, given the matches in it (relative to the word's start).
void ListParts(TextSpan word, const std::vector<TextSpan>& matches, bool invert,
               std::vector<Part>* parts) {
  parts->clear();
  size_t done = word.begin;
  for (const TextSpan& match : matches) {
    const size_t begin = word.begin + match.begin;
    if (done < begin) parts->push_back({{done, begin}, invert});
    done = word.begin + match.end;
    parts->push_back({{begin, done}, !invert});
  }
  if (done < word.end) parts->push_back({{done, word.end}, invert});
}

// Whether `part` belongs to the word that ends with the part before it.
bool Joins(const Part& before, const Part& part, SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::kMergedWithPrevious:
      return part.matched && !before.matched;
    case SplitBehavior::kMergedWithNext:
      return before.matched && !part.matched;
    case SplitBehavior::kContiguous:
      return before.matched == part.matched;
    default:
      return false;
  }
}

void AppendWords(const std::vector<Part>& parts, SplitBehavior behavior,
                 std::vector<TextSpan>* words) {
  const Part* before = nullptr;
  for (const Part& part : parts) {
    if (before != nullptr && Joins(*before, part, behavior)) {
      words->back().end = part.span.end;
    } else if (!(part.matched && behavior == SplitBehavior::kRemoved)) {
      words->push_back(part.span);
    }
    before = &part;
  }
}

// A step that finds matches in each word and cuts there.
class MatchSplit : public PreTokenizer {
 public:
  MatchSplit(SplitBehavior behavior, bool invert) : behavior_(behavior), invert_(invert) {}

  void Split(SplitText* split) const override {
    std::vector<TextSpan> words;
    words.reserve(split->words.size() + split->text.size() / 5);
    std::vector<Part> parts;
    for (const TextSpan& word : split->words) {
      const auto matches = Find(split->text.substr(word.begin, word.end - word.begin));
      ListParts(word, matches, invert_, &parts);
      AppendWords(parts, behavior_, &words);
    }
    split->words = std::move(words);
  }

 private:
  virtual std::vector<TextSpan> Find(std::string_view word) const = 0;
  SplitBehavior behavior_;
  bool invert_;
};

class RegexSplit final : public MatchSplit {
 public:
  RegexSplit(Regex regex, SplitBehavior behavior, bool invert)
      : MatchSplit(behavior, invert), regex_(std::move(regex)) {}

 private:
  std::vector<TextSpan> Find(std::string_view word) const override { return regex_.FindAll(word); }
  Regex regex_;
};

class LiteralSplit final : public MatchSplit {
 public:
  LiteralSplit(std::string literal, SplitBehavior behavior, bool invert)
      : MatchSplit(behavior, invert), literal_(std::move(literal)) {}

 private:
  std::vector<TextSpan> Find(std::string_view word) const override {
    std::vector<TextSpan> matches;
    if (literal_.empty()) return matches;
    size_t at = 0;
    while ((at = word.find(literal_, at)) != std::string_view::npos) {
      matches.push_back({at, at + literal_.size()});
      at += literal_.size();
    }
    return matches;
  }
  std::string literal_;
};

class Digits final : public MatchSplit {
 public:
  explicit Digits(bool individual)
      : MatchSplit(individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous, false) {}

 private:
  std::vector<TextSpan> Find(std::string_view word) const override {
    std::vector<TextSpan> matches;
    for (size_t at = 0; at < word.size();) {
      if (static_cast<unsigned char>(word[at]) < 0x80) {
        if (word[at] >= '0' && word[at] <= '9') matches.push_back({at, at + 1});
        ++at;
        continue;
      }
      const DecodedCodePoint c = DecodeFirst(word.substr(at));
      if (IsNumeric(c.code_point)) matches.push_back({at, at + c.length});
      at += c.length;
    }
    return matches;
  }
};

class PrefixSpace final : public PreTokenizer {
 public:
  // At most one of these works on a text: only ByteLevel has it, and nothing may follow that.
  void Split(SplitText* split) const override {
    TANREN_CHECK(split->changed_text == nullptr, "a second step that changes the text");
    auto text = std::make_unique<std::string>();
    auto map = std::make_unique<SourceMap>(split->map);
    text->reserve(split->text.size() + split->words.size());
    for (TextSpan& word : split->words) {
      const size_t begin = text->size();
      if (split->text[word.begin] != ' ') {
        text->push_back(' ');
        map->AppendReplacement(1, word.begin, word.begin);
      }
      text->append(split->text.substr(word.begin, word.end - word.begin));
      map->AppendCopy(word.end - word.begin, word.begin);
      word = {begin, text->size()};
    }
    split->text = *text;
    split->map = map.get();
    split->changed_text = std::move(text);
    split->changed_map = std::move(map);
  }
};

}  // namespace

std::unique_ptr<PreTokenizer> MakeRegexSplit(Regex regex, SplitBehavior behavior, bool invert) {
  return std::make_unique<RegexSplit>(std::move(regex), behavior, invert);
}

std::unique_ptr<PreTokenizer> MakeLiteralSplit(std::string literal, SplitBehavior behavior,
                                               bool invert) {
  return std::make_unique<LiteralSplit>(std::move(literal), behavior, invert);
}

std::unique_ptr<PreTokenizer> MakeDigits(bool individual) {
  return std::make_unique<Digits>(individual);
}

std::unique_ptr<PreTokenizer> MakePrefixSpace() { return std::make_unique<PrefixSpace>(); }

}  // namespace tanren::text
