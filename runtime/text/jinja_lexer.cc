#include "runtime/text/jinja_lexer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "runtime/text/jinja_error.h"
#include "runtime/text/jinja_string_literal.h"
#include "runtime/text/python_text.h"
#include "runtime/text/unicode.h"

namespace tanren::text::jinja {

namespace {

// Line ends become "\n"; one at the very end of a template is not part of it.
std::string NormalizeNewlines(std::string_view source) {
  std::string text;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text += source[i];
      continue;
    }
    text += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(NormalizeNewlines(source)) {}

  std::vector<Token> Run() {
    while (at_ < source_.size()) Literal();
    tokens_.push_back({TokenKind::kEnd, line_});
    return std::move(tokens_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void FailHere(fmt::format_string<Args...> format, Args&&... args) {
    Fail("line {}: {}", line_, fmt::format(format, std::forward<Args>(args)...));
  }

  std::string_view Rest() const { return std::string_view(source_).substr(at_); }
  bool Sees(std::string_view text) const { return Rest().substr(0, text.size()) == text; }

  void Advance(size_t bytes) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at_ + bytes),
                                         '\n'));
    at_ += bytes;
    if (bytes > 0) line_starting_ = source_[at_ - 1] == '\n';
  }
  void SkipSpace() {
    while (at_ < source_.size()) {
      const DecodedCodePoint decoded = DecodeFirst(Rest());
      if (!IsPythonSpace(decoded.code_point)) return;
      Advance(decoded.length);
    }
  }
  void Push(TokenKind kind, std::string value = {}) {
    tokens_.push_back({kind, line_, std::move(value)});
  }

  void Literal();
  void PushLiteral(std::string_view text, char sign, bool block);
  void Comment();
  bool Raw();
  void Tokens(bool block);
  bool EndsTag(bool block);
  void ExpressionToken();
  void Number();
  void String();
  void Operator();

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<char> open_;  // brackets
  std::vector<Token> tokens_;
};

void Lexer::PushLiteral(std::string_view text, char sign, bool block) {
  if (sign == '-') {
    text = text.substr(0, Strip(TrackedText(text), StripSides::kRight).size());
  } else if (sign != '+' && block) {
    const size_t newline = text.rfind('\n');
    const size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    if ((begin > 0 || line_starting_) &&
        Strip(TrackedText(text.substr(begin)), StripSides::kBoth).empty()) {
      text = text.substr(0, begin);
    }
  }
  if (!text.empty()) Push(TokenKind::kLiteral, std::string(text));
}

// Reads up to the next tag and then the tag.
void Lexer::Literal() {
  size_t tag = at_;
  while (true) {
    tag = source_.find('{', tag);
    if (tag == std::string::npos || tag + 1 >= source_.size()) {
      Push(TokenKind::kLiteral, std::string(Rest()));
      Advance(source_.size() - at_);
      return;
    }
    const char next = source_[tag + 1];
    if (next == '{' || next == '%' || next == '#') break;
    ++tag;
  }
  const char kind = source_[tag + 1];
  const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
  const bool signed_tag = sign == '-' || sign == '+';
  PushLiteral(Rest().substr(0, tag - at_), sign, kind != '{');
  Advance(tag - at_);
  if (kind == '%' && Raw()) return;
  if (kind == '#') {
    Advance(signed_tag ? 3 : 2);
    return Comment();
  }
  Push(kind == '%' ? TokenKind::kBlockBegin : TokenKind::kPrintBegin);
  Advance(signed_tag ? 3 : 2);
  Tokens(kind == '%');
}

void Lexer::Comment() {
  const size_t end = source_.find("#}", at_);
  if (end == std::string::npos) FailHere("the comment has no end");
  const char sign = end > at_ ? source_[end - 1] : '\0';
  Advance(end + 2 - at_);
  if (sign == '-') {
    SkipSpace();
  } else if (sign != '+' && Sees("\n")) {
    Advance(1);
  }
}

// {% raw %}...{% endraw %}, if that is what comes.
bool Lexer::Raw() {
  const size_t begin = at_;
  const int line = line_;
  const auto matches_tag = [&](std::string_view name) {
    if (!Sees("{%")) return false;
    Advance(2);
    if (Sees("-") || Sees("+")) Advance(1);
    SkipSpace();
    if (!Sees(name)) return false;
    Advance(name.size());
    SkipSpace();
    return Sees("%}") || Sees("-%}") || Sees("+%}");
  };
  if (!matches_tag("raw") || Sees("+")) {
    at_ = begin;
    line_ = line;
    return false;
  }
  // Unlike other blocks, the opening tag keeps the newline after it.
  const bool strips = Sees("-");
  Advance(strips ? 3 : 2);
  if (strips) SkipSpace();
  const size_t text_begin = at_;
  while (true) {
    const size_t tag = source_.find("{%", at_);
    if (tag == std::string::npos) FailHere("the raw block has no end");
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    Advance(tag - at_);
    if (!matches_tag("endraw")) continue;
    const size_t resume = at_;
    // The rule about line starts looks at the text after the opening tag.
    line_starting_ = text_begin > 0 && source_[text_begin - 1] == '\n';
    PushLiteral(std::string_view(source_).substr(text_begin, tag - text_begin), sign, true);
    at_ = resume;
    EndsTag(true);
    return true;
  }
}

// Takes the end of a tag with the white space it eats, if it is there.
bool Lexer::EndsTag(bool block) {
  const std::string_view close = block ? "%}" : "}}";
  const std::string minus = "-" + std::string(close);
  const std::string plus = "+" + std::string(close);
  if (Sees(minus)) {
    Advance(3);
    SkipSpace();
    return true;
  }
  if (block && Sees(plus)) {
    Advance(3);
    return true;
  }
  if (!Sees(close)) return false;
  Advance(2);
  if (block && Sees("\n")) Advance(1);
  return true;
}

void Lexer::Tokens(bool block) {
  open_.clear();
  const int first_line = line_;
  while (true) {
    const int line = line_;
    if (open_.empty() && EndsTag(block)) {
      tokens_.push_back({block ? TokenKind::kBlockEnd : TokenKind::kPrintEnd, line});
      return;
    }
    SkipSpace();
    if (at_ >= source_.size()) {
      Fail("line {}: the tag that begins here has no end", first_line);
    }
    if (open_.empty() && (Sees(block ? "%}" : "}}") || Sees(block ? "-%}" : "-}}"))) continue;
    if (open_.empty() && block && Sees("+%}")) continue;
    ExpressionToken();
  }
}

void Lexer::ExpressionToken() {
  const char c = source_[at_];
  if (IsDigit(c)) return Number();
  if (c == '\'' || c == '"') return String();
  if (!IsNameStart(c)) return Operator();
  size_t end = at_;
  while (end < source_.size() && (IsNameStart(source_[end]) || IsDigit(source_[end]))) ++end;
  Push(TokenKind::kName, source_.substr(at_, end - at_));
  Advance(end - at_);
}

void Lexer::Number() {
  const bool after_dot = !tokens_.empty() && tokens_.back().kind == TokenKind::kOperator &&
                         tokens_.back().value == "." && at_ > 0 && source_[at_ - 1] == '.';
  std::string digits;
  size_t end = at_;
  const auto take_digits = [&] {
    while (end < source_.size() && (IsDigit(source_[end]) || source_[end] == '_')) {
      if (source_[end] != '_') digits += source_[end];
      ++end;
    }
  };
  const auto digit_at = [&](size_t place) {
    return place < source_.size() && IsDigit(source_[place]);
  };
  take_digits();
  bool fraction = false;
  if (!after_dot && end < source_.size() && source_[end] == '.' && digit_at(end + 1)) {
    fraction = true;
    digits += '.';
    ++end;
    take_digits();
  }
  if (!after_dot && end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
    const bool sign =
        end + 1 < source_.size() && (source_[end + 1] == '-' || source_[end + 1] == '+');
    if (digit_at(end + (sign ? 2 : 1))) {
      fraction = true;
      digits += 'e';
      if (sign) digits += source_[end + 1];
      end += sign ? 2 : 1;
      take_digits();
    }
  }
  if (end < source_.size() && IsNameStart(source_[end])) {
    FailHere("a number may not run into a name: '{}'", source_.substr(at_, end + 1 - at_));
  }
  Token token{fraction ? TokenKind::kFloat : TokenKind::kInteger, line_, digits};
  const char* last = digits.data() + digits.size();
  // from_chars reports what doesn't fit; a leading plus never stands here.
  const auto read = fraction ? std::from_chars(digits.data(), last, token.number)
                             : std::from_chars(digits.data(), last, token.integer);
  if (read.ec != std::errc() || read.ptr != last) FailHere("the number {} is out of range", digits);
  if (!fraction && digits.size() > 1 && digits[0] == '0' && token.integer != 0) {
    FailHere("a number may not begin with 0: {}", digits);
  }
  tokens_.push_back(std::move(token));
  Advance(end - at_);
}

void Lexer::String() {
  const char quote = source_[at_];
  size_t end = at_ + 1;
  while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
  if (end >= source_.size()) FailHere("the string has no end");
  std::string value;
  const std::string problem =
      UnescapeStringLiteral(std::string_view(source_).substr(at_ + 1, end - at_ - 1), &value);
  if (!problem.empty()) FailHere("{}", problem);
  Push(TokenKind::kString, std::move(value));
  Advance(end + 1 - at_);
}

void Lexer::Operator() {
  static constexpr std::array<std::string_view, 26> kOperators = {
      "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
      "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
  for (const std::string_view candidate : kOperators) {
    if (!Sees(candidate)) continue;
    const char c = candidate[0];
    if (c == '(' || c == '[' || c == '{') open_.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    if (c == ')' || c == ']' || c == '}') {
      if (open_.empty()) FailHere("unexpected '{}'", c);
      if (open_.back() != c) FailHere("unexpected '{}', expected '{}'", c, open_.back());
      open_.pop_back();
    }
    Push(TokenKind::kOperator, std::string(candidate));
    Advance(candidate.size());
    return;
  }
  const DecodedCodePoint decoded = DecodeFirst(Rest());
  FailHere("unexpected character '{}'", Rest().substr(0, decoded.length));
}

}  // namespace

std::vector<Token> Tokenize(std::string_view source) { return Lexer(source).Run(); }

}  // namespace tanren::text::jinja
