#include "runtime/text/jinja_interpreter.h"

#include <algorithm>

#include "runtime/text/jinja_error.h"

namespace tanren::text::jinja {

const Value* Scope::Find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent.get()) {
    for (const auto& [key, value] : scope->variables) {
      if (key == name) return &value;
    }
  }
  return nullptr;
}

void Scope::Set(const std::string& name, Value value) {
  for (auto& [key, existing] : variables) {
    if (key == name) {
      existing = std::move(value);
      return;
    }
  }
  variables.emplace_back(name, std::move(value));
}

// Opens a scope inside `parent` and returns to the former one.
class Interpreter::ScopeGuard {
 public:
  ScopeGuard(Interpreter* interpreter, std::shared_ptr<Scope> parent)
      : interpreter_(interpreter), former_(interpreter->scope_) {
    interpreter_->scope_ = std::make_shared<Scope>(Scope{std::move(parent), {}});
  }
  explicit ScopeGuard(Interpreter* interpreter) : ScopeGuard(interpreter, interpreter->scope_) {}
  ~ScopeGuard() { interpreter_->scope_ = std::move(former_); }
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  Interpreter* interpreter_;
  std::shared_ptr<Scope> former_;
};

Interpreter::Interpreter(const RenderLimits& limits, const std::vector<Origin>* origins,
                         std::optional<std::chrono::local_seconds> now)
    : budget_(limits), origins_(origins), now_(now) {
  auto globals = std::make_shared<Scope>();
  globals->variables = GlobalFunctions();
  scope_ = std::make_shared<Scope>(Scope{std::move(globals), {}});
}

TrackedText Interpreter::Run(const Body& body) {
  TrackedText text;
  output_ = &text;
  Execute(body);
  output_ = nullptr;
  return text;
}

Value Interpreter::MakeText(TrackedText text, bool markup) {
  budget_.ChargeText(text.size());
  budget_.Charge(text.spans().size());
  return Value::MakeText(std::move(text), markup);
}

int Interpreter::MessageOf(const Value& value) const {
  if (value.dict() == nullptr || value.origin() < 0) return -1;
  const Origin& origin = (*origins_)[static_cast<size_t>(value.origin())];
  return origin.field.empty() ? origin.message : -1;
}

void Interpreter::Emit(TrackedText text) {
  if (text.empty()) return;
  budget_.ChargeText(text.size());
  text.WrittenAt(message_);
  if (generating_ > 0) text.MarkGenerated();
  budget_.Charge(text.spans().size());
  budget_.CheckText(output_->size() + text.size());
  output_->Append(text);
}

TrackedText Interpreter::Capture(const Body& body) {
  TrackedText captured;
  TrackedText* former = std::exchange(output_, &captured);
  const ScopeGuard scope(this);
  Execute(body);
  output_ = former;
  return captured;
}

Interpreter::Flow Interpreter::Execute(const Body& body) {
  const Budget::Level level(&budget_);
  for (const Statement& statement : body) {
    const Flow flow = ExecuteOne(statement);
    if (flow != Flow::kNormal) return flow;
  }
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::ExecuteOne(const Statement& statement) {
  budget_.Charge(1);
  line_ = statement.line;
  switch (statement.kind) {
    case StatementKind::kLiteral:
      Emit(statement.literal);
      break;
    case StatementKind::kPrint: {
      const Value value = Evaluate(*statement.expression);
      line_ = statement.line;
      Emit(ToText(value));
      break;
    }
    case StatementKind::kIf:
      return Execute(IsTrue(Evaluate(*statement.expression)) ? statement.body
                                                             : statement.otherwise);
    case StatementKind::kFor:
      return ExecuteFor(statement);
    case StatementKind::kSet: {
      const Value value = Evaluate(*statement.expression);
      line_ = statement.line;
      Assign(statement.target, value);
      break;
    }
    case StatementKind::kSetBlock: {
      Value value = MakeText(Capture(statement.body));
      if (statement.expression != nullptr) value = EvaluateFilter(*statement.expression, &value);
      Assign(statement.target, value);
      break;
    }
    case StatementKind::kMacro:
      scope_->Set(statement.name, MakeMacro(statement, statement.name));
      break;
    case StatementKind::kCallBlock:
      ExecuteCallBlock(statement);
      break;
    case StatementKind::kFilterBlock: {
      const Value body = MakeText(Capture(statement.body));
      const Value value = EvaluateFilter(*statement.expression, &body);
      if (value.text() == nullptr) {
        Fail("a filter block's filters give a '{}', expected a string", TypeName(value));
      }
      Emit(ToText(value));
      break;
    }
    case StatementKind::kGeneration:
      ExecuteGeneration(statement);
      break;
    case StatementKind::kWith:
      return ExecuteWith(statement);
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNormal;
}

void Interpreter::ExecuteGeneration(const Statement& statement) {
  ++generating_;
  const ScopeGuard scope(this);
  Execute(statement.body);
  --generating_;
}

Interpreter::Flow Interpreter::ExecuteWith(const Statement& statement) {
  std::vector<Value> values;
  for (const auto& [name, value] : statement.assignments) values.push_back(Evaluate(*value));
  const ScopeGuard scope(this);
  for (size_t i = 0; i < values.size(); ++i) scope_->Set(statement.assignments[i].first, values[i]);
  return Execute(statement.body);
}

std::vector<Value> Interpreter::LoopItems(const Statement& statement) {
  std::vector<Value> items = Iterate(Evaluate(*statement.expression));
  budget_.Charge(items.size());
  if (statement.condition == nullptr) return items;
  const int message = message_;
  std::vector<Value> kept;
  for (Value& item : items) {
    const ScopeGuard scope(this);
    Assign(statement.target, item);
    if (IsTrue(Evaluate(*statement.condition))) kept.push_back(std::move(item));
    message_ = message;
  }
  return kept;
}

Interpreter::Flow Interpreter::ExecuteFor(const Statement& statement) {
  auto loop = std::make_shared<LoopState>();
  loop->items = LoopItems(statement);
  bool completed = false;  // an iteration; as in Jinja, one that a break or continue ends is none
  const int outer_message = message_;
  const bool outer_in_loop = std::exchange(in_loop_, true);
  for (; loop->index < loop->items.size(); ++loop->index) {
    budget_.Charge(1);
    line_ = statement.line;
    const Value item = loop->items[loop->index];
    const ScopeGuard scope(this);
    scope_->Set("loop", Value(Value::Data(loop)));
    Assign(statement.target, item);
    const int message = MessageOf(item);
    message_ = message >= 0 ? message : outer_message;
    const Flow flow = Execute(statement.body);
    completed = completed || flow == Flow::kNormal;
    if (flow == Flow::kBreak) break;
  }
  message_ = outer_message;
  in_loop_ = outer_in_loop;
  if (completed) return Flow::kNormal;
  const ScopeGuard scope(this);
  return Execute(statement.otherwise);
}

void Interpreter::Assign(const Target& target, const Value& value) {
  budget_.Charge(1);
  if (!target.parts.empty()) {
    if (value.IsUndefined()) Fail("{}", value.undefined_reason());
    const std::vector<Value> items = Iterate(value);
    if (items.size() != target.parts.size()) {
      Fail("{} values can't be assigned to {} names", items.size(), target.parts.size());
    }
    for (size_t i = 0; i < items.size(); ++i) Assign(target.parts[i], items[i]);
    return;
  }
  if (target.attribute.empty()) {
    scope_->Set(target.name, value);
    // A loop over indices says by `set message = messages[i]` which message it is at.
    if (in_loop_ && message_ < 0) message_ = MessageOf(value);
    return;
  }
  const Value* object = scope_->Find(target.name);
  if (object == nullptr || object->name_space() == nullptr) {
    Fail("'{}' is not a namespace, its attribute '{}' can't be set", target.name, target.attribute);
  }
  if (target.attribute[0] == '_') Fail("attribute '{}' is not for templates", target.attribute);
  if (value.name_space() != nullptr || value.loop() != nullptr) {
    Unsupported("a {} inside a namespace", TypeName(value));
  }
  object->name_space()->attributes.Set(Value::MakeText(target.attribute), value);
}

void Interpreter::ExecuteCallBlock(const Statement& statement) {
  const Expression& call = *statement.expression;
  const Value function = Evaluate(*call.children[0]);
  Arguments arguments = EvaluateArguments(call);
  arguments.named.emplace_back("caller", MakeMacro(statement, "caller"));
  line_ = statement.line;
  Emit(ToText(Call(function, std::move(arguments))));
}

Value Interpreter::MakeMacro(const Statement& statement, const std::string& name) {
  // The scope is held weakly: it holds the macro.
  const std::weak_ptr<Scope> definition = scope_;
  return Value::MakeFunction(
      name, [this, &statement, definition, name](Interpreter&, Arguments& arguments) {
        std::shared_ptr<Scope> outer = definition.lock();
        if (outer == nullptr) Unsupported("macro '{}' called outside of where it is defined", name);
        const ScopeGuard scope(this, std::move(outer));
        BindParameters(statement, name, &arguments);
        return MakeText(Capture(statement.body));
      });
}

void Interpreter::BindParameters(const Statement& statement, const std::string& name,
                                 Arguments* arguments) {
  ArgumentReader reader(name, arguments);
  // All names are the macro's own before the first default is evaluated: f(a=a) is undefined in it.
  std::vector<const Parameter*> missing;
  for (const Parameter& parameter : statement.parameters) {
    const Value* given = reader.Take(parameter.name);
    if (given == nullptr) missing.push_back(&parameter);
    scope_->Set(parameter.name, given != nullptr ? *given
                                                 : Value::MakeUndefined(fmt::format(
                                                       "'{}' is undefined", parameter.name)));
  }
  for (const Parameter* parameter : missing) {
    scope_->Set(parameter->name, parameter->fallback != nullptr
                                     ? Evaluate(*parameter->fallback)
                                     : Value::MakeUndefined(fmt::format(
                                           "parameter '{}' was not provided", parameter->name)));
  }
  if (name != "caller") {
    const Arguments rest = reader.Rest();
    for (const auto& [key, value] : rest.named) {
      if (key != "caller") Fail("macro '{}' has no parameter '{}'", name, key);
      scope_->Set(key, value);
    }
    if (!rest.positional.empty()) {
      Fail("macro '{}' takes at most {} arguments", name, statement.parameters.size());
    }
  } else {
    reader.Done();
  }
}

Value Interpreter::Call(const Value& function, Arguments arguments) {
  const Budget::Level level(&budget_);
  if (function.IsUndefined()) Fail("{}", function.undefined_reason());
  if (function.function() == nullptr) Fail("'{}' object is not callable", TypeName(function));
  return function.function()->call(*this, arguments);
}

}  // namespace tanren::text::jinja
