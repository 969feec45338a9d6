#include "runtime/text/jinja_parser.h"

#include <algorithm>
#include <utility>

#include "runtime/text/jinja_expression_parser.h"

namespace tanren::text::jinja {

namespace {

class TemplateParser : private ExpressionParser {
 public:
  explicit TemplateParser(std::string_view source) : ExpressionParser(Tokenize(source)) {}

  ParsedTemplate Run() {
    ParsedTemplate parsed;
    parsed.body = ParseBody({});
    parsed.has_generation_blocks = has_generation_blocks_;
    return parsed;
  }

 private:
  using Names = std::initializer_list<std::string_view>;

  // Statements up to a tag named one of `ends` (which stays to be read), or to the end.
  Body ParseBody(Names ends);
  // The rest of an opening tag, the body, and the closing tag up to its '%}'.
  Body ParseBlock(std::string_view end);
  Statement ParseStatement();
  Target ParseTarget(bool allow_attribute);
  Statement ParseIf(int line);
  Statement ParseFor(int line);
  Statement ParseSet(int line);
  Statement ParseMacro(int line);
  Statement ParseCall(int line);
  Statement ParseWith(int line);
  Statement ParseLoopControl(StatementKind kind, int line);
  std::vector<Parameter> ParseParameters();

  // A body that runs as a function of its own, so that break and continue can't leave it.
  Body ParseClosedBlock(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    Body body = ParseBlock(end);
    loops_ = loops;
    return body;
  }

  int loops_ = 0;
  bool has_generation_blocks_ = false;
};

Body TemplateParser::ParseBody(Names ends) {
  const Level level(this);
  Body body;
  while (Peek().kind != TokenKind::kEnd) {
    const Token token = Next();
    if (token.kind == TokenKind::kLiteral) {
      Statement literal{StatementKind::kLiteral, token.line};
      literal.literal = TrackedText(token.value);
      body.push_back(std::move(literal));
    } else if (token.kind == TokenKind::kPrintBegin) {
      Statement print{StatementKind::kPrint, token.line};
      print.expression = ParseTuple();
      ExpectKind(TokenKind::kPrintEnd);
      body.push_back(std::move(print));
    } else {
      if (std::any_of(ends.begin(), ends.end(), [&](auto name) { return SeesName(name); })) {
        return body;
      }
      body.push_back(ParseStatement());
      ExpectKind(TokenKind::kBlockEnd);
    }
  }
  if (ends.size() > 0) {
    FailAt(Peek().line, "the template ends where '{}' is expected", *(ends.end() - 1));
  }
  return body;
}

Body TemplateParser::ParseBlock(std::string_view end) {
  ExpectKind(TokenKind::kBlockEnd);
  Body body = ParseBody({end});
  Next();
  return body;
}

Statement TemplateParser::ParseStatement() {
  const int line = Peek().line;
  const std::string name = ExpectName("a statement");
  if (name == "if") return ParseIf(line);
  if (name == "for") return ParseFor(line);
  if (name == "set") return ParseSet(line);
  if (name == "macro") return ParseMacro(line);
  if (name == "call") return ParseCall(line);
  if (name == "with") return ParseWith(line);
  if (name == "break") return ParseLoopControl(StatementKind::kBreak, line);
  if (name == "continue") return ParseLoopControl(StatementKind::kContinue, line);
  if (name == "filter") {
    Statement filter{StatementKind::kFilterBlock, line};
    filter.expression = ParseBlockFilters();
    filter.body = ParseClosedBlock("endfilter");
    return filter;
  }
  if (name == "generation") {
    has_generation_blocks_ = true;
    Statement generation{StatementKind::kGeneration, line};
    generation.body = ParseClosedBlock("endgeneration");
    return generation;
  }
  static constexpr std::string_view kEnds[] = {"elif",    "else",          "endif",   "endfor",
                                               "endset",  "endmacro",      "endcall", "endfilter",
                                               "endwith", "endgeneration", "endraw"};
  if (std::find(std::begin(kEnds), std::end(kEnds), name) != std::end(kEnds)) {
    FailAt(line, "unexpected '{}'", name);
  }
  UnsupportedAt(line, "statement '" + name + "'");
}

Statement TemplateParser::ParseIf(int line) {
  const Level level(this);
  Statement statement{StatementKind::kIf, line};
  statement.expression = ParseTuple(/*allow_if=*/false);
  ExpectKind(TokenKind::kBlockEnd);
  statement.body = ParseBody({"elif", "else", "endif"});
  const Token end = Next();
  if (end.value == "elif") {
    statement.otherwise.push_back(ParseIf(end.line));
  } else if (end.value == "else") {
    statement.otherwise = ParseBlock("endif");
  }
  return statement;
}

Target TemplateParser::ParseTarget(bool allow_attribute) {
  const Level level(this);
  const auto parse_one = [&]() -> Target {
    if (TakeOperator("(")) {
      Target inner = ParseTarget(allow_attribute);
      ExpectOperator(")");
      return inner;
    }
    Target target;
    const int line = Peek().line;
    target.name = ExpectName("a name to assign to");
    static constexpr std::string_view kReserved[] = {"true", "false", "none",
                                                     "True", "False", "None"};
    if (std::find(std::begin(kReserved), std::end(kReserved), target.name) != std::end(kReserved)) {
      FailAt(line, "can't assign to '{}'", target.name);
    }
    // Only a for statement's targets are plain names: there, `loop` is its own.
    if (!allow_attribute && target.name == "loop")
      FailAt(line, "'loop' can't be a loop's variable");
    if (allow_attribute && TakeOperator(".")) target.attribute = ExpectName("an attribute");
    return target;
  };
  Target first = parse_one();
  if (!SeesOperator(",")) return first;
  Target tuple;
  tuple.parts.push_back(std::move(first));
  while (TakeOperator(",")) {
    if (Peek().kind != TokenKind::kName && !SeesOperator("(")) break;
    if (SeesName("in")) break;
    tuple.parts.push_back(parse_one());
  }
  return tuple;
}

Statement TemplateParser::ParseFor(int line) {
  Statement statement{StatementKind::kFor, line};
  statement.target = ParseTarget(/*allow_attribute=*/false);
  if (!TakeName("in")) FailAt(line, "expected 'in', found {}", Describe(Peek()));
  statement.expression = ParseTuple(/*allow_if=*/false);
  if (TakeName("if")) statement.condition = ParseExpression();
  if (SeesName("recursive")) UnsupportedAt(line, "recursive for");
  ExpectKind(TokenKind::kBlockEnd);
  ++loops_;
  statement.body = ParseBody({"else", "endfor"});
  --loops_;
  if (Next().value == "else") statement.otherwise = ParseBlock("endfor");
  return statement;
}

Statement TemplateParser::ParseSet(int line) {
  Statement statement{StatementKind::kSet, line};
  statement.target = ParseTarget(/*allow_attribute=*/true);
  if (TakeOperator("=")) {
    statement.expression = ParseTuple();
    return statement;
  }
  statement.kind = StatementKind::kSetBlock;
  if (TakeOperator("|")) statement.expression = ParseBlockFilters();
  statement.body = ParseClosedBlock("endset");
  return statement;
}

std::vector<Parameter> TemplateParser::ParseParameters() {
  std::vector<Parameter> parameters;
  ExpectOperator("(");
  while (!SeesOperator(")")) {
    if (!parameters.empty()) ExpectOperator(",");
    Parameter parameter;
    const int line = Peek().line;
    parameter.name = ExpectName("a parameter's name");
    if (TakeOperator("=")) {
      parameter.fallback = ParseExpression();
    } else if (!parameters.empty() && parameters.back().fallback != nullptr) {
      FailAt(line, "parameter '{}' without a default follows one with a default", parameter.name);
    }
    parameters.push_back(std::move(parameter));
  }
  ExpectOperator(")");
  return parameters;
}

Statement TemplateParser::ParseMacro(int line) {
  Statement statement{StatementKind::kMacro, line};
  statement.name = ExpectName("a macro's name");
  statement.parameters = ParseParameters();
  statement.body = ParseClosedBlock("endmacro");
  return statement;
}

Statement TemplateParser::ParseCall(int line) {
  Statement statement{StatementKind::kCallBlock, line};
  if (SeesOperator("(")) statement.parameters = ParseParameters();
  statement.expression = ParseExpression();
  if (statement.expression->kind != ExpressionKind::kCall) {
    FailAt(line, "a call block needs the call of a macro");
  }
  statement.body = ParseClosedBlock("endcall");
  return statement;
}

Statement TemplateParser::ParseWith(int line) {
  Statement statement{StatementKind::kWith, line};
  while (Peek().kind != TokenKind::kBlockEnd) {
    if (!statement.assignments.empty()) ExpectOperator(",");
    std::string name = ExpectName("a name to assign to");
    ExpectOperator("=");
    statement.assignments.emplace_back(std::move(name), ParseExpression());
  }
  statement.body = ParseBlock("endwith");
  return statement;
}

Statement TemplateParser::ParseLoopControl(StatementKind kind, int line) {
  if (loops_ == 0) FailAt(line, "break or continue outside of a loop");
  return Statement{kind, line};
}

}  // namespace

ParsedTemplate ParseTemplate(std::string_view source) { return TemplateParser(source).Run(); }

}  // namespace tanren::text::jinja
