// How ExpressionParser walks over tokens.
#include "runtime/text/jinja_expression_parser.h"

namespace tanren::text::jinja {

const Token& ExpressionParser::Peek(size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

Token ExpressionParser::Next() {
  Token token = Peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool ExpressionParser::SeesOperator(std::string_view value) const {
  return Peek().kind == TokenKind::kOperator && Peek().value == value;
}

bool ExpressionParser::SeesName(std::string_view value) const {
  return Peek().kind == TokenKind::kName && Peek().value == value;
}

bool ExpressionParser::TakeOperator(std::string_view value) {
  if (!SeesOperator(value)) return false;
  Next();
  return true;
}

bool ExpressionParser::TakeName(std::string_view value) {
  if (!SeesName(value)) return false;
  Next();
  return true;
}

void ExpressionParser::ExpectOperator(std::string_view value) {
  if (!TakeOperator(value)) {
    FailAt(Peek().line, "expected '{}', found {}", value, Describe(Peek()));
  }
}

std::string ExpressionParser::ExpectName(std::string_view what) {
  if (Peek().kind != TokenKind::kName) {
    FailAt(Peek().line, "expected {}, found {}", what, Describe(Peek()));
  }
  return Next().value;
}

void ExpressionParser::ExpectKind(TokenKind kind) {
  if (Peek().kind != kind) {
    FailAt(Peek().line, "expected {}, found {}", Describe(Token{kind}), Describe(Peek()));
  }
  Next();
}

void ExpressionParser::UnsupportedAt(int line, std::string_view what) const {
  throw Error(absl::UnimplementedError(fmt::format("line {}: unsupported: {}", line, what)));
}

std::string ExpressionParser::Describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kLiteral:
      return "template text";
    case TokenKind::kPrintBegin:
      return "'{{'";
    case TokenKind::kPrintEnd:
      return "'}}'";
    case TokenKind::kBlockBegin:
      return "'{%'";
    case TokenKind::kBlockEnd:
      return "'%}'";
    case TokenKind::kEnd:
      return "the end of the template";
    case TokenKind::kString:
      return fmt::format("the string '{}'", token.value);
    default:
      return fmt::format("'{}'", token.value);
  }
}

}  // namespace tanren::text::jinja
