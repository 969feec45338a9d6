#include "runtime/text/jinja_expression_parser.h"

#include <algorithm>

#include "runtime/text/jinja_builtins.h"

namespace tanren::text::jinja {

namespace {

// Gives `parent` one more child. Depth is bounded in the tree itself, so that evaluating and
// freeing it can't run out of stack.
void Adopt(Expression* parent, ExpressionPtr child) {
  if (child != nullptr) parent->depth = std::max(parent->depth, child->depth + 1);
  if (parent->depth > kMaxSyntaxDepth) {
    OverLimit("line {}: the expression nests more than {} deep", parent->line, kMaxSyntaxDepth);
  }
  parent->children.push_back(std::move(child));
}

std::unique_ptr<Expression> Make(ExpressionKind kind, int line, std::string name = {}) {
  auto expression = std::make_unique<Expression>();
  expression->kind = kind;
  expression->line = line;
  expression->name = std::move(name);
  return expression;
}

std::unique_ptr<Expression> MakeConstant(int line, Value value) {
  auto expression = Make(ExpressionKind::kConstant, line);
  expression->constant = std::move(value);
  return expression;
}

std::unique_ptr<Expression> MakePair(ExpressionKind kind, int line, ExpressionPtr left,
                                     ExpressionPtr right, std::string name = {}) {
  auto expression = Make(kind, line, std::move(name));
  Adopt(expression.get(), std::move(left));
  Adopt(expression.get(), std::move(right));
  return expression;
}

}  // namespace

ExpressionParser::Level::Level(ExpressionParser* parser) : parser_(parser) {
  if (++parser_->depth_ > kMaxSyntaxDepth) {
    --parser_->depth_;
    OverLimit("line {}: the template nests more than {} deep", parser_->Peek().line,
              kMaxSyntaxDepth);
  }
}

ExpressionPtr ExpressionParser::ParseTuple(bool allow_if, bool explicit_parentheses) {
  const Level level(this);
  const int line = Peek().line;
  const auto ends = [&] {
    const TokenKind kind = Peek().kind;
    return kind == TokenKind::kPrintEnd || kind == TokenKind::kBlockEnd || SeesOperator(")");
  };
  auto tuple = Make(ExpressionKind::kTuple, line);
  bool is_tuple = false;
  while (!ends()) {
    Adopt(tuple.get(), ParseExpression(allow_if));
    if (!TakeOperator(",")) break;
    is_tuple = true;
  }
  if (is_tuple || (tuple->children.empty() && explicit_parentheses)) return tuple;
  if (tuple->children.empty()) FailAt(line, "expected an expression, found {}", Describe(Peek()));
  return std::move(tuple->children[0]);
}

ExpressionPtr ExpressionParser::ParseExpression(bool allow_if) {
  const Level level(this);
  ExpressionPtr value = ParseOr();
  while (allow_if && SeesName("if")) {
    const int line = Next().line;
    auto choice = Make(ExpressionKind::kIfElse, line);
    Adopt(choice.get(), ParseOr());
    Adopt(choice.get(), std::move(value));
    Adopt(choice.get(), TakeName("else") ? ParseExpression() : nullptr);
    value = std::move(choice);
  }
  return value;
}

ExpressionPtr ExpressionParser::ParseOr() {
  ExpressionPtr left = ParseAnd();
  while (SeesName("or")) {
    const int line = Next().line;
    ExpressionPtr right = ParseAnd();
    left = MakePair(ExpressionKind::kOr, line, std::move(left), std::move(right));
  }
  return left;
}

ExpressionPtr ExpressionParser::ParseAnd() {
  ExpressionPtr left = ParseNot();
  while (SeesName("and")) {
    const int line = Next().line;
    ExpressionPtr right = ParseNot();
    left = MakePair(ExpressionKind::kAnd, line, std::move(left), std::move(right));
  }
  return left;
}

ExpressionPtr ExpressionParser::ParseNot() {
  if (!SeesName("not")) return ParseComparison();
  const Level level(this);
  auto negation = Make(ExpressionKind::kUnary, Next().line, "not");
  Adopt(negation.get(), ParseNot());
  return negation;
}

ExpressionPtr ExpressionParser::ParseComparison() {
  const int line = Peek().line;
  auto comparison = Make(ExpressionKind::kCompare, line);
  Adopt(comparison.get(), ParseSum());
  while (true) {
    static constexpr std::string_view kComparisons[] = {"==", "!=", "<=", ">=", "<", ">"};
    const auto found = std::find_if(std::begin(kComparisons), std::end(kComparisons),
                                    [&](std::string_view value) { return SeesOperator(value); });
    if (found != std::end(kComparisons)) {
      Next();
      comparison->operators.emplace_back(*found);
    } else if (TakeName("in")) {
      comparison->operators.emplace_back("in");
    } else if (SeesName("not") && Peek(1).kind == TokenKind::kName && Peek(1).value == "in") {
      Next();
      Next();
      comparison->operators.emplace_back("not in");
    } else {
      break;
    }
    Adopt(comparison.get(), ParseSum());
  }
  if (comparison->operators.empty()) return std::move(comparison->children[0]);
  return comparison;
}

ExpressionPtr ExpressionParser::ParseChain(std::initializer_list<std::string_view> operators,
                                           Parse operand) {
  ExpressionPtr left = (this->*operand)();
  while (true) {
    const auto found = std::find_if(operators.begin(), operators.end(),
                                    [&](std::string_view value) { return SeesOperator(value); });
    if (found == operators.end()) return left;
    const int line = Next().line;
    ExpressionPtr right = (this->*operand)();
    left = MakePair(ExpressionKind::kBinary, line, std::move(left), std::move(right),
                    std::string(*found));
  }
}

ExpressionPtr ExpressionParser::ParseSum() {
  return ParseChain({"+", "-"}, &ExpressionParser::ParseConcat);
}

ExpressionPtr ExpressionParser::ParseConcat() {
  const int line = Peek().line;
  ExpressionPtr first = ParseProduct();
  if (!SeesOperator("~")) return first;
  auto concat = Make(ExpressionKind::kConcat, line);
  Adopt(concat.get(), std::move(first));
  while (TakeOperator("~")) Adopt(concat.get(), ParseProduct());
  return concat;
}

ExpressionPtr ExpressionParser::ParseProduct() {
  return ParseChain({"//", "*", "/", "%"}, &ExpressionParser::ParsePower);
}

ExpressionPtr ExpressionParser::ParsePower() {
  return ParseChain({"**"}, &ExpressionParser::ParseUnaryWithFilters);
}

ExpressionPtr ExpressionParser::ParseUnary(bool with_filters) {
  const Level level(this);
  ExpressionPtr value;
  if (SeesOperator("-") || SeesOperator("+")) {
    const Token sign = Next();
    auto unary = Make(ExpressionKind::kUnary, sign.line, sign.value);
    Adopt(unary.get(), ParseUnary(false));
    value = std::move(unary);
  } else {
    value = ParsePrimary();
  }
  value = ParsePostfix(std::move(value));
  return with_filters ? ParseFilters(std::move(value)) : std::move(value);
}

ExpressionPtr ExpressionParser::ParseName() {
  const Token token = Next();
  const std::string& name = token.value;
  if (name == "true" || name == "True") return MakeConstant(token.line, Value::MakeBool(true));
  if (name == "false" || name == "False") return MakeConstant(token.line, Value::MakeBool(false));
  if (name == "none" || name == "None") return MakeConstant(token.line, Value::MakeNone());
  if (name == "varargs" || name == "kwargs") UnsupportedAt(token.line, "'" + name + "' of a macro");
  return Make(ExpressionKind::kName, token.line, name);
}

ExpressionPtr ExpressionParser::ParsePrimary() {
  const Token& token = Peek();
  switch (token.kind) {
    case TokenKind::kName:
      return ParseName();
    case TokenKind::kInteger:
    case TokenKind::kFloat: {
      const Token number = Next();
      return MakeConstant(number.line, number.kind == TokenKind::kInteger
                                           ? Value::MakeInteger(number.integer)
                                           : Value::MakeFloat(number.number));
    }
    case TokenKind::kString: {
      const int line = token.line;
      std::string text;
      while (Peek().kind == TokenKind::kString) text += Next().value;
      return MakeConstant(line, Value::MakeText(text));
    }
    default:
      break;
  }
  if (TakeOperator("(")) {
    ExpressionPtr inner = ParseTuple(true, true);
    ExpectOperator(")");
    return inner;
  }
  if (SeesOperator("[")) return ParseList();
  if (SeesOperator("{")) return ParseDict();
  FailAt(token.line, "unexpected {}", Describe(token));
}

ExpressionPtr ExpressionParser::ParseList() {
  auto list = Make(ExpressionKind::kList, Next().line);
  while (!SeesOperator("]")) {
    Adopt(list.get(), ParseExpression());
    if (!TakeOperator(",")) break;
  }
  ExpectOperator("]");
  return list;
}

ExpressionPtr ExpressionParser::ParseDict() {
  auto dict = Make(ExpressionKind::kDict, Next().line);
  while (!SeesOperator("}")) {
    Adopt(dict.get(), ParseExpression());
    ExpectOperator(":");
    Adopt(dict.get(), ParseExpression());
    if (!TakeOperator(",")) break;
  }
  ExpectOperator("}");
  return dict;
}

ExpressionPtr ExpressionParser::ParsePostfix(ExpressionPtr subject) {
  while (true) {
    if (SeesOperator(".")) {
      subject = ParseAttribute(std::move(subject));
    } else if (SeesOperator("[")) {
      subject = ParseIndex(std::move(subject));
    } else if (SeesOperator("(")) {
      auto call = Make(ExpressionKind::kCall, Peek().line);
      Adopt(call.get(), std::move(subject));
      ParseArguments(call.get());
      subject = std::move(call);
    } else {
      return subject;
    }
  }
}

ExpressionPtr ExpressionParser::ParseAttribute(ExpressionPtr subject) {
  const int line = Next().line;
  const Token attribute = Next();
  if (attribute.kind == TokenKind::kInteger) {
    return MakePair(ExpressionKind::kItem, line, std::move(subject),
                    MakeConstant(line, Value::MakeInteger(attribute.integer)));
  }
  if (attribute.kind != TokenKind::kName) {
    FailAt(attribute.line, "expected a name after '.', found {}", Describe(attribute));
  }
  auto access = Make(ExpressionKind::kAttribute, line, attribute.value);
  Adopt(access.get(), std::move(subject));
  return access;
}

ExpressionPtr ExpressionParser::ParseIndex(ExpressionPtr subject) {
  const int line = Next().line;
  ExpressionPtr index = ParseIndexPart();
  if (SeesOperator(",")) UnsupportedAt(line, "several indices in one pair of brackets");
  ExpectOperator("]");
  return MakePair(ExpressionKind::kItem, line, std::move(subject), std::move(index));
}

ExpressionPtr ExpressionParser::ParseIndexPart() {
  const int line = Peek().line;
  ExpressionPtr begin = SeesOperator(":") ? nullptr : ParseExpression();
  if (!TakeOperator(":")) return begin;
  auto slice = Make(ExpressionKind::kSlice, line);
  const auto absent = [&] { return SeesOperator(":") || SeesOperator("]") || SeesOperator(","); };
  Adopt(slice.get(), std::move(begin));
  Adopt(slice.get(), absent() ? nullptr : ParseExpression());
  const bool has_step = TakeOperator(":") && !absent();
  Adopt(slice.get(), has_step ? ParseExpression() : nullptr);
  return slice;
}

void ExpressionParser::ParseArguments(Expression* call) {
  ExpectOperator("(");
  while (!SeesOperator(")")) {
    if (SeesOperator("*") || SeesOperator("**")) UnsupportedAt(Peek().line, "* in a call");
    const bool named = Peek().kind == TokenKind::kName && Peek(1).kind == TokenKind::kOperator &&
                       Peek(1).value == "=";
    if (named) {
      std::string name = Next().value;
      Next();
      ExpressionPtr value = ParseExpression();
      call->depth = std::max(call->depth, value->depth + 1);
      call->keywords.emplace_back(std::move(name), std::move(value));
    } else {
      if (!call->keywords.empty()) {
        FailAt(Peek().line, "an argument without a name follows one with a name");
      }
      Adopt(call, ParseExpression());
    }
    if (!TakeOperator(",")) break;
  }
  ExpectOperator(")");
}

ExpressionPtr ExpressionParser::ParseFilters(ExpressionPtr subject) {
  while (true) {
    if (TakeOperator("|")) {
      subject = ParseFilter(std::move(subject));
    } else if (SeesName("is")) {
      subject = ParseTest(std::move(subject));
    } else if (SeesOperator("(")) {
      subject = ParsePostfix(std::move(subject));
    } else {
      return subject;
    }
  }
}

// Names of filters and tests may have dots, so that `x|first.y` is no attribute of what x|first is.
std::string ExpressionParser::ExpectDottedName(std::string_view what) {
  std::string name = ExpectName(what);
  while (TakeOperator(".")) name += "." + ExpectName(what);
  return name;
}

ExpressionPtr ExpressionParser::ParseFilter(ExpressionPtr subject) {
  const int line = Peek().line;
  auto filter = Make(ExpressionKind::kFilter, line, ExpectDottedName("a filter's name"));
  if (FindFilter(filter->name) == nullptr) UnsupportedAt(line, "filter '" + filter->name + "'");
  Adopt(filter.get(), std::move(subject));
  if (SeesOperator("(")) ParseArguments(filter.get());
  return filter;
}

ExpressionPtr ExpressionParser::ParseBlockFilters() {
  ExpressionPtr filters = ParseFilter(nullptr);
  while (TakeOperator("|")) filters = ParseFilter(std::move(filters));
  return filters;
}

ExpressionPtr ExpressionParser::ParseTest(ExpressionPtr subject) {
  const int line = Next().line;
  const bool negated = TakeName("not");
  auto test = Make(ExpressionKind::kTest, line, ExpectDottedName("a test's name"));
  if (FindTest(test->name) == nullptr) UnsupportedAt(line, "test '" + test->name + "'");
  Adopt(test.get(), std::move(subject));
  const TokenKind kind = Peek().kind;
  const bool ends = SeesName("else") || SeesName("or") || SeesName("and");
  if (SeesOperator("(")) {
    ParseArguments(test.get());
  } else if (!ends && (kind == TokenKind::kName || kind == TokenKind::kString ||
                       kind == TokenKind::kInteger || kind == TokenKind::kFloat ||
                       SeesOperator("[") || SeesOperator("{"))) {
    if (SeesName("is")) FailAt(line, "tests can't be chained with 'is'");
    // As in Jinja, a name after a test is its argument, even `if`: parenthesise the test there.
    Adopt(test.get(), ParsePostfix(ParsePrimary()));
  }
  if (!negated) return test;
  auto negation = Make(ExpressionKind::kUnary, line, "not");
  Adopt(negation.get(), std::move(test));
  return negation;
}

}  // namespace tanren::text::jinja
