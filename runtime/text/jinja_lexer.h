// Cuts a template into literal text and the tokens of statements and expressions, with
// transformers' settings: the first newline after a block is dropped (trim_blocks), and so is the
// white space between the start of a line and a block (lstrip_blocks).
#ifndef TANREN_RUNTIME_TEXT_JINJA_LEXER_H_
#define TANREN_RUNTIME_TEXT_JINJA_LEXER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tanren::text::jinja {

enum class TokenKind {
  kLiteral,     // template text; value: the text
  kPrintBegin,  // {{
  kPrintEnd,
  kBlockBegin,  // {%
  kBlockEnd,
  kName,
  kString,  // value: the unescaped text
  kInteger,
  kFloat,
  kOperator,  // value: "+", "==", "(", ...
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  int line = 0;  // from 1
  std::string value;
  int64_t integer = 0;
  double number = 0;
};

// Ends with one kEnd. Throws Error whose message starts with "line N: ".
std::vector<Token> Tokenize(std::string_view source);

}  // namespace tanren::text::jinja

#endif  // TANREN_RUNTIME_TEXT_JINJA_LEXER_H_
