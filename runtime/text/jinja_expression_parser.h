// Parses expressions, by Jinja's precedence: if-else, or, and, not, comparison, + -, ~, * / // %,
// **, unary, then postfix, filters and tests.
#ifndef TANREN_RUNTIME_TEXT_JINJA_EXPRESSION_PARSER_H_
#define TANREN_RUNTIME_TEXT_JINJA_EXPRESSION_PARSER_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/text/jinja_ast.h"
#include "runtime/text/jinja_error.h"
#include "runtime/text/jinja_lexer.h"

namespace tanren::text::jinja {

// How deep expressions and blocks may nest, left operands of chains included.
constexpr int kMaxSyntaxDepth = 300;

class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  // An expression, or a tuple without parentheses. `allow_if` is off where a statement's own `if`
  // may follow.
  ExpressionPtr ParseTuple(bool allow_if = true, bool explicit_parentheses = false);
  ExpressionPtr ParseExpression(bool allow_if = true);
  // Filters on a block: `name(...) | name(...)`, their subject left null.
  ExpressionPtr ParseBlockFilters();

  const Token& Peek(size_t ahead = 0) const;
  Token Next();
  bool SeesOperator(std::string_view value) const;
  bool SeesName(std::string_view value) const;
  bool TakeOperator(std::string_view value);
  bool TakeName(std::string_view value);
  void ExpectOperator(std::string_view value);
  std::string ExpectName(std::string_view what);
  std::string ExpectDottedName(std::string_view what);
  void ExpectKind(TokenKind kind);

  template <typename... Args>
  [[noreturn]] void FailAt(int line, fmt::format_string<Args...> format, Args&&... args) const {
    Fail("line {}: {}", line, fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void UnsupportedAt(int line, std::string_view what) const;
  static std::string Describe(const Token& token);

  // Counts one more level while it lives.
  class Level {
   public:
    explicit Level(ExpressionParser* parser);
    ~Level() { --parser_->depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    ExpressionParser* parser_;
  };

 private:
  using Parse = ExpressionPtr (ExpressionParser::*)();
  ExpressionPtr ParseOr();
  ExpressionPtr ParseAnd();
  ExpressionPtr ParseNot();
  ExpressionPtr ParseComparison();
  ExpressionPtr ParseSum();
  ExpressionPtr ParseConcat();
  ExpressionPtr ParseProduct();
  ExpressionPtr ParsePower();
  ExpressionPtr ParseUnary(bool with_filters);
  ExpressionPtr ParseUnaryWithFilters() { return ParseUnary(true); }
  ExpressionPtr ParsePrimary();
  ExpressionPtr ParseName();
  ExpressionPtr ParseList();
  ExpressionPtr ParseDict();
  ExpressionPtr ParsePostfix(ExpressionPtr subject);
  ExpressionPtr ParseFilters(ExpressionPtr subject);
  ExpressionPtr ParseFilter(ExpressionPtr subject);
  ExpressionPtr ParseTest(ExpressionPtr subject);
  ExpressionPtr ParseAttribute(ExpressionPtr subject);
  ExpressionPtr ParseIndex(ExpressionPtr subject);
  ExpressionPtr ParseIndexPart();
  void ParseArguments(Expression* call);
  ExpressionPtr ParseChain(std::initializer_list<std::string_view> operators, Parse operand);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace tanren::text::jinja

#endif  // TANREN_RUNTIME_TEXT_JINJA_EXPRESSION_PARSER_H_
