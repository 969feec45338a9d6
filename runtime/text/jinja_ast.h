// The parsed template. Nodes are immutable after parsing and shared by all renderings.
#ifndef TANREN_RUNTIME_TEXT_JINJA_AST_H_
#define TANREN_RUNTIME_TEXT_JINJA_AST_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/text/jinja_value.h"

namespace tanren::text::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

enum class ExpressionKind {
  kConstant,   // constant
  kName,       // name
  kList,       // children: items
  kTuple,      // children: items
  kDict,       // children: key, value, key, value, ...
  kAttribute,  // children: object; name
  kItem,       // children: object, index
  kSlice,      // children: begin, end, step; null where left out. Only as an index.
  kCall,       // children: function, positional arguments...; keywords
  kFilter,     // children: subject (null in a filter block), positional...; name; keywords
  kTest,       // children: subject, positional...; name; keywords
  kUnary,      // children: operand; name: "-", "+", "not"
  kBinary,     // children: left, right; name: the operator
  kConcat,     // children: what ~ joins
  kCompare,    // children: operands; operators between them, "in" and "not in" included
  kAnd,        // children: left, right
  kOr,         // children: left, right
  kIfElse,     // children: condition, value, otherwise (may be null)
};

struct Expression {
  ExpressionKind kind;
  int line = 0;
  int depth = 1;  // of the tree below, this node included
  std::string name;
  Value constant;
  std::vector<ExpressionPtr> children;
  std::vector<std::pair<std::string, ExpressionPtr>> keywords;
  std::vector<std::string> operators;
};

// What a value is assigned to: a name, a namespace's attribute, or a tuple of targets.
struct Target {
  std::string name;
  std::string attribute;      // of the namespace `name`; empty: the name itself
  std::vector<Target> parts;  // not empty: a tuple
};

struct Statement;
using Body = std::vector<Statement>;

// A macro's parameters, or those of a call block.
struct Parameter {
  std::string name;
  ExpressionPtr fallback;  // null: undefined where not given
};

enum class StatementKind {
  kLiteral,      // literal
  kPrint,        // expression
  kIf,           // expression, body, otherwise (an elif is an if in there)
  kFor,          // target in expression, if condition; body, otherwise
  kSet,          // target, expression
  kSetBlock,     // target, expression: filters or null; body
  kMacro,        // name, parameters, body
  kCallBlock,    // parameters, expression: the call; body
  kFilterBlock,  // expression: filters; body
  kGeneration,   // body
  kWith,         // assignments, body
  kBreak,
  kContinue,
};

struct Statement {
  StatementKind kind;
  int line = 0;
  std::string name;
  TrackedText literal;
  Target target;
  ExpressionPtr expression;
  ExpressionPtr condition;
  std::vector<Parameter> parameters;
  std::vector<std::pair<std::string, ExpressionPtr>> assignments;
  Body body;
  Body otherwise;
};

}  // namespace tanren::text::jinja

#endif  // TANREN_RUNTIME_TEXT_JINJA_AST_H_
