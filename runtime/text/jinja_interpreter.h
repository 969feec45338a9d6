// Runs a parsed template.
#ifndef TANREN_RUNTIME_TEXT_JINJA_INTERPRETER_H_
#define TANREN_RUNTIME_TEXT_JINJA_INTERPRETER_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/text/jinja_ast.h"
#include "runtime/text/jinja_budget.h"
#include "runtime/text/jinja_builtins.h"

namespace tanren::text::jinja {

// Names and their values; a name that isn't here is looked up in the parent.
struct Scope {
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<std::string, Value>> variables;

  const Value* Find(std::string_view name) const;
  void Set(const std::string& name, Value value);
};

// One rendering. Throws Error; line() then says where.
class Interpreter {
 public:
  // `origins` tells which values are messages; it must outlive the interpreter.
  Interpreter(const RenderLimits& limits, const std::vector<Origin>* origins,
              std::optional<std::chrono::local_seconds> now);

  void SetVariable(const std::string& name, Value value) { scope_->Set(name, std::move(value)); }
  TrackedText Run(const Body& body);
  int line() const { return line_; }

  // For builtins.
  Budget& budget() { return budget_; }
  std::optional<std::chrono::local_seconds> now() const { return now_; }
  Value MakeText(TrackedText text, bool markup = false);
  Value Call(const Value& function, Arguments arguments);
  Value ApplyFilter(const std::string& name, const Value& subject, Arguments arguments);
  bool ApplyTest(const std::string& name, const Value& subject, Arguments arguments);

 private:
  enum class Flow { kNormal, kBreak, kContinue };
  class ScopeGuard;

  Flow Execute(const Body& body);
  Flow ExecuteOne(const Statement& statement);
  Flow ExecuteFor(const Statement& statement);
  Flow ExecuteWith(const Statement& statement);
  void ExecuteMacro(const Statement& statement);
  void ExecuteCallBlock(const Statement& statement);
  void ExecuteGeneration(const Statement& statement);
  std::vector<Value> LoopItems(const Statement& statement);
  void Assign(const Target& target, const Value& value);
  void Emit(TrackedText text);
  // What the body writes, kept apart from the output; runs in a scope of its own.
  TrackedText Capture(const Body& body);
  // A function that runs the body with its parameters bound.
  Value MakeMacro(const Statement& statement, const std::string& name);
  void BindParameters(const Statement& statement, const std::string& name, Arguments* arguments);

  Value Evaluate(const Expression& expression);
  Value EvaluateOr(const ExpressionPtr& expression, Value fallback);
  Value EvaluateName(const Expression& expression);
  Value EvaluateContainer(const Expression& expression);
  Value EvaluateItem(const Expression& expression);
  Value EvaluateCall(const Expression& expression);
  Value EvaluateFilter(const Expression& expression, const Value* block);
  Value EvaluateConcat(const Expression& expression);
  bool EvaluateCompare(const Expression& expression);
  Arguments EvaluateArguments(const Expression& expression);
  // The text now belongs to the message that the loop is at.
  Value Stamped(const Value& value) const;
  // Which message the value is, whole; -1: none.
  int MessageOf(const Value& value) const;

  Budget budget_;
  const std::vector<Origin>* origins_;
  std::optional<std::chrono::local_seconds> now_;
  std::shared_ptr<Scope> scope_;
  TrackedText* output_ = nullptr;
  int message_ = -1;  // that the innermost loop over messages is at
  bool in_loop_ = false;
  int generating_ = 0;  // how many {% generation %} blocks are open
  int line_ = 1;
};

}  // namespace tanren::text::jinja

#endif  // TANREN_RUNTIME_TEXT_JINJA_INTERPRETER_H_
