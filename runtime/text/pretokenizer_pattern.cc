// From Oniguruma's Ruby syntax to PCRE2's: only what means the same in both goes through as it is.
#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "runtime/base/error.h"
#include "runtime/text/pretokenizer_regex.h"
#include "runtime/text/unicode_additions.h"

namespace tanren::text {
namespace {

// White_Space and the rest, without their brackets. Surrogates are no characters of UTF-8.
constexpr std::string_view kSpace =
    R"(\x09-\x0D\x20\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
constexpr std::string_view kNoSpace =
    R"(\x00-\x08\x0E-\x1F\x21-\x{84}\x{86}-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027})"
    R"(\x{202A}-\x{202E}\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{D7FF}\x{E000}-\x{10FFFF})";
// Ideographs of Unicode 15.0 and 15.1.
constexpr std::string_view kAddedHan = R"(\x{2B739}\x{2EBF0}-\x{2EE5D}\x{31350}-\x{323AF})";
// Oniguruma counts the superscripts and fractions of Latin-1 in.
constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\xB2\xB3\xB9\xBC-\xBE)";

constexpr std::array<std::string_view, 36> kCategories = {
    "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N",  "Nd",
    "Nl", "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S",  "Sm",
    "Sc", "Sk", "So", "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Cn", "Co"};

// As a part of a class: the added characters whose category starts with one of `categories`.
std::string Additions(std::span<const std::string_view> categories) {
  std::string ranges;
  for (const UnicodeAddition& added : UnicodeAdditions()) {
    const bool wanted = std::any_of(categories.begin(), categories.end(), [&](std::string_view c) {
      return added.category.starts_with(c);
    });
    if (wanted) {
      ranges += fmt::format("\\x{{{:X}}}-\\x{{{:X}}}", static_cast<uint32_t>(added.first),
                            static_cast<uint32_t>(added.last));
    }
  }
  return ranges;
}

// The characters of \w as a part of a class.
std::string WordCharacters() {
  constexpr std::array<std::string_view, 5> kCategoriesOfWords = {"L", "M", "Nd", "Nl", "Pc"};
  return fmt::format("{}{}", kWord, Additions(kCategoriesOfWords));
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  absl::StatusOr<std::string> Run() {
    while (at_ < pattern_.size()) TANREN_RETURN_IF_ERROR(Step());
    return std::move(out_);
  }

 private:
  absl::Status Refuse(std::string_view what) const {
    return absl::UnimplementedError(
        fmt::format("the pattern '{}', at byte {}: {} is not supported", pattern_, at_, what));
  }

  char Peek(size_t ahead) const {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }

  absl::Status Step() {
    const char c = pattern_[at_];
    if (c == '\\') return Escape();
    if (in_class_) {
      if (c == '[') return Refuse("a class or '[' inside a class");
      if (c == '&' && Peek(1) == '&') return Refuse("an intersection of classes (&&)");
      // "[]" is an error there and the start of a set here; "]" ends the class otherwise.
      if (c == ']' && !class_is_empty_) in_class_ = false;
      class_is_empty_ = class_is_empty_ && c == '^' && pattern_[at_ - 1] == '[';
    } else if (c == '[') {
      in_class_ = class_is_empty_ = true;
    } else if (c == '}' && Peek(1) == '+') {
      return Refuse("'+' after '{…}'");  // possessive here, a repeat of the repeat there
    } else if (c == '{' && Peek(1) == ',') {
      return Refuse("'{,'");  // from zero on there, plain text here
    } else if (c == '(' && Peek(1) == '?') {
      TANREN_RETURN_IF_ERROR(CheckGroup());
    }
    out_.push_back(c);
    ++at_;
    return absl::OkStatus();
  }

  // Of the groups that start with (? those that mean the same in both.
  absl::Status CheckGroup() const {
    const std::string_view rest = pattern_.substr(at_ + 2);
    for (const std::string_view good : {":", "=", "!", ">", "<=", "<!", "i:"}) {
      if (rest.starts_with(good)) return absl::OkStatus();
    }
    return Refuse(fmt::format("the group '(?{}'", rest.substr(0, 2)));
  }

  absl::Status Escape() {
    const char c = Peek(1);
    class_is_empty_ = false;
    if (c == 'p' || c == 'P') return Property();
    const std::string_view open = in_class_ ? "" : "[", close = in_class_ ? "" : "]";
    if (c == 's') return Put(fmt::format("{}{}{}", open, kSpace, close), 2);
    if (c == 'S') return Put(fmt::format("{}{}{}", open, kNoSpace, close), 2);
    if (c == 'w') return Put(fmt::format("{}{}{}", open, WordCharacters(), close), 2);
    if (c == 'W' && !in_class_) return Put(fmt::format("[^{}]", WordCharacters()), 2);
    if (c == 'x' || std::string_view("rntfvdD").find(c) != std::string_view::npos) {
      // \v is one character there and a class here.
      return Put(c == 'v' ? "\\x0B" : fmt::format("\\{}", c), 2);
    }
    if (c == 'A' || c == 'z' || c == 'b' || c == 'B') {
      return c == 'A' || c == 'z' ? Put(fmt::format("\\{}", c), 2) : Refuse("a word boundary");
    }
    const bool letter_or_digit = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    if (c == '\0' || letter_or_digit) return Refuse(fmt::format("the escape '\\{}'", c));
    return Put(fmt::format("\\{}", c), 2);
  }

  absl::Status Property() {
    std::string_view name;
    size_t length = 0;
    if (Peek(2) == '{') {
      const size_t close = pattern_.find('}', at_);
      if (close == std::string_view::npos) return Refuse("a property without its '}'");
      name = pattern_.substr(at_ + 3, close - at_ - 3);
      length = close + 1 - at_;
    } else {
      return Refuse("a property without braces");
    }
    bool negated = pattern_[at_ + 1] == 'P';
    if (name.starts_with('^')) {
      negated = !negated;
      name.remove_prefix(1);
    }
    const bool category =
        std::find(kCategories.begin(), kCategories.end(), name) != kCategories.end();
    // A script alone would mean its extensions too.
    const std::string_view sc = category ? "" : "sc:";
    std::string added = name == "Han" ? std::string(kAddedHan) : "";
    if (category) added = Additions(std::array{name});
    // No class can leave characters out of a negated property inside it: there, the added ones are
    // what the installed PCRE2 takes them for.
    if (added.empty() || (negated && in_class_)) {
      return Put(fmt::format("\\{}{{{}{}}}", negated ? 'P' : 'p', sc, name), length);
    }
    const std::string characters = fmt::format("\\p{{{}{}}}{}", sc, name, added);
    if (in_class_) return Put(characters, length);
    return Put(fmt::format("[{}{}]", negated ? "^" : "", characters), length);
  }

  absl::Status Put(std::string_view text, size_t length) {
    out_.append(text);
    at_ += length;
    return absl::OkStatus();
  }

  std::string_view pattern_;
  size_t at_ = 0;
  bool in_class_ = false;
  bool class_is_empty_ = false;  // nothing but '^' stands in the class so far
  std::string out_;
};

}  // namespace

absl::StatusOr<std::string> TranslatePattern(std::string_view pattern) {
  return Translator(pattern).Run();
}

}  // namespace tanren::text
