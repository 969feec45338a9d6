// How Interpreter evaluates expressions.
#include "runtime/text/jinja_error.h"
#include "runtime/text/jinja_interpreter.h"
#include "runtime/text/jinja_operators.h"

namespace tanren::text::jinja {

Value Interpreter::Evaluate(const Expression& expression) {
  const Budget::Level level(&budget_);
  budget_.Charge(1);
  line_ = expression.line;
  const auto& children = expression.children;
  switch (expression.kind) {
    case ExpressionKind::kConstant:
      return Stamped(expression.constant);
    case ExpressionKind::kName:
      return EvaluateName(expression);
    case ExpressionKind::kList:
    case ExpressionKind::kTuple:
    case ExpressionKind::kDict:
      return EvaluateContainer(expression);
    case ExpressionKind::kAttribute: {
      const Value object = Evaluate(*children[0]);
      line_ = expression.line;
      return GetAttribute(object, expression.name);
    }
    case ExpressionKind::kItem:
      return EvaluateItem(expression);
    case ExpressionKind::kSlice:
      Fail("a slice stands only in brackets after a value");
    case ExpressionKind::kCall:
      return EvaluateCall(expression);
    case ExpressionKind::kFilter:
      return EvaluateFilter(expression, nullptr);
    case ExpressionKind::kTest: {
      const Value subject = Evaluate(*children[0]);
      Arguments arguments = EvaluateArguments(expression);
      line_ = expression.line;
      return Value::MakeBool(ApplyTest(expression.name, subject, std::move(arguments)));
    }
    case ExpressionKind::kUnary: {
      const Value operand = Evaluate(*children[0]);
      line_ = expression.line;
      if (expression.name == "not") return Value::MakeBool(!IsTrue(operand));
      return ApplySign(expression.name, operand);
    }
    case ExpressionKind::kBinary: {
      const Value left = Evaluate(*children[0]);
      const Value right = Evaluate(*children[1]);
      line_ = expression.line;
      return Stamped(ApplyBinary(expression.name, left, right, &budget_));
    }
    case ExpressionKind::kConcat:
      return EvaluateConcat(expression);
    case ExpressionKind::kCompare:
      return Value::MakeBool(EvaluateCompare(expression));
    case ExpressionKind::kAnd: {
      Value left = Evaluate(*children[0]);
      return IsTrue(left) ? Evaluate(*children[1]) : left;
    }
    case ExpressionKind::kOr: {
      Value left = Evaluate(*children[0]);
      return IsTrue(left) ? left : Evaluate(*children[1]);
    }
    case ExpressionKind::kIfElse:
      if (IsTrue(Evaluate(*children[0]))) return Evaluate(*children[1]);
      return EvaluateOr(children[2],
                        Value::MakeUndefined("the inline if has no else and its test was false"));
  }
  Fail("an expression of no known kind");
}

Value Interpreter::EvaluateOr(const ExpressionPtr& expression, Value fallback) {
  return expression == nullptr ? std::move(fallback) : Evaluate(*expression);
}

Value Interpreter::Stamped(const Value& value) const {
  if (message_ < 0 || value.text() == nullptr || value.bytes().empty()) return value;
  TrackedText text = value.text()->text;
  text.WrittenAt(message_);
  return Value::MakeText(std::move(text), value.text()->markup);
}

Value Interpreter::EvaluateName(const Expression& expression) {
  const Value* found = scope_->Find(expression.name);
  if (found != nullptr) return *found;
  return Value::MakeUndefined(fmt::format("'{}' is undefined", expression.name));
}

Value Interpreter::EvaluateContainer(const Expression& expression) {
  const auto& children = expression.children;
  if (expression.kind == ExpressionKind::kDict) {
    Dict dict;
    for (size_t i = 0; i < children.size(); i += 2) {
      Value key = Evaluate(*children[i]);
      dict.Set(std::move(key), Evaluate(*children[i + 1]));
    }
    return MakeDict(std::move(dict));
  }
  std::vector<Value> items;
  for (const ExpressionPtr& child : children) items.push_back(Evaluate(*child));
  const bool tuple = expression.kind == ExpressionKind::kTuple;
  return MakeSequence(std::move(items), tuple ? Sequence::Form::kTuple : Sequence::Form::kList);
}

Value Interpreter::EvaluateItem(const Expression& expression) {
  const Value object = Evaluate(*expression.children[0]);
  const Expression& index = *expression.children[1];
  if (index.kind != ExpressionKind::kSlice) {
    const Value place = Evaluate(index);
    line_ = expression.line;
    return GetItem(object, place, &budget_);
  }
  const Value begin = EvaluateOr(index.children[0], Value::MakeNone());
  const Value end = EvaluateOr(index.children[1], Value::MakeNone());
  const Value step = EvaluateOr(index.children[2], Value::MakeNone());
  line_ = expression.line;
  return GetSlice(object, begin, end, step, &budget_);
}

Arguments Interpreter::EvaluateArguments(const Expression& expression) {
  Arguments arguments;
  for (size_t i = 1; i < expression.children.size(); ++i) {
    arguments.positional.push_back(Evaluate(*expression.children[i]));
  }
  for (const auto& [name, value] : expression.keywords) {
    arguments.named.emplace_back(name, Evaluate(*value));
  }
  return arguments;
}

Value Interpreter::EvaluateCall(const Expression& expression) {
  const Value function = Evaluate(*expression.children[0]);
  Arguments arguments = EvaluateArguments(expression);
  line_ = expression.line;
  return Call(function, std::move(arguments));
}

Value Interpreter::EvaluateFilter(const Expression& expression, const Value* block) {
  // The innermost filter of a filter block has no subject of its own.
  const Expression* inner = expression.children[0].get();
  Value subject;
  if (inner == nullptr) {
    subject = *block;
  } else if (block != nullptr && inner->kind == ExpressionKind::kFilter) {
    subject = EvaluateFilter(*inner, block);
  } else {
    subject = Evaluate(*inner);
  }
  Arguments arguments = EvaluateArguments(expression);
  line_ = expression.line;
  return ApplyFilter(expression.name, subject, std::move(arguments));
}

Value Interpreter::ApplyFilter(const std::string& name, const Value& subject, Arguments arguments) {
  const Filter filter = FindFilter(name);
  if (filter == nullptr) Unsupported("filter '{}'", name);
  ArgumentReader reader(name, &arguments);
  return filter(*this, subject, reader);
}

bool Interpreter::ApplyTest(const std::string& name, const Value& subject, Arguments arguments) {
  const Test test = FindTest(name);
  if (test == nullptr) Unsupported("test '{}'", name);
  ArgumentReader reader(name, &arguments);
  return test(*this, subject, reader);
}

Value Interpreter::EvaluateConcat(const Expression& expression) {
  TrackedText joined;
  for (const ExpressionPtr& child : expression.children) {
    const TrackedText part = ToText(Evaluate(*child));
    budget_.ChargeText(part.size());
    budget_.Charge(part.spans().size());
    budget_.CheckText(joined.size() + part.size());
    joined.Append(part);
  }
  return Stamped(Value::MakeText(std::move(joined)));
}

bool Interpreter::EvaluateCompare(const Expression& expression) {
  Value left = Evaluate(*expression.children[0]);
  for (size_t i = 0; i < expression.operators.size(); ++i) {
    Value right = Evaluate(*expression.children[i + 1]);
    line_ = expression.line;
    if (!Compare(expression.operators[i], left, right)) return false;
    left = std::move(right);
  }
  return true;
}

}  // namespace tanren::text::jinja
