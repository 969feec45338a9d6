// The tests of `is`.
#include <cmath>
#include <unordered_map>

#include "runtime/text/jinja_error.h"
#include "runtime/text/jinja_interpreter.h"
#include "runtime/text/jinja_operators.h"
#include "runtime/text/python_text.h"

namespace tanren::text::jinja {

namespace {

bool IsTestIterable(const Value& value) {
  return value.IsUndefined() || value.text() != nullptr || value.sequence() != nullptr ||
         value.dict() != nullptr || value.loop() != nullptr;
}

bool IsTestSequence(const Value& value) {
  const Sequence* sequence = value.sequence();
  const bool indexed = sequence != nullptr && sequence->form != Sequence::Form::kGenerator &&
                       sequence->form != Sequence::Form::kView;
  return value.IsUndefined() || value.text() != nullptr || value.dict() != nullptr || indexed;
}

// Python's `is`, as far as templates can tell.
bool IsSame(const Value& left, const Value& right) {
  if (left.data().index() != right.data().index()) return false;
  if (left.sequence() != nullptr) return left.sequence() == right.sequence();
  if (left.dict() != nullptr) return left.dict() == right.dict();
  return Equal(left, right);
}

template <bool (*holds)(const Value&)>
bool Plain(Interpreter&, const Value& subject, ArgumentReader& arguments) {
  arguments.Done();
  return holds(subject);
}

// The operator's name is bound at compile time: tests are plain functions.
enum class Operation { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual, kIn };
template <Operation operation>
bool Against(Interpreter&, const Value& subject, ArgumentReader& arguments) {
  static constexpr std::string_view kNames[] = {"==", "!=", "<", "<=", ">", ">=", "in"};
  const Value& other = arguments.Need("other");
  arguments.Done();
  return Compare(kNames[static_cast<size_t>(operation)], subject, other);
}

bool RemainderIs(Interpreter& interpreter, const Value& subject, const Value& divisor,
                 int64_t wanted) {
  return Equal(ApplyBinary("%", subject, divisor, &interpreter.budget()),
               Value::MakeInteger(wanted));
}

template <int64_t wanted>
bool Parity(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  arguments.Done();
  return RemainderIs(interpreter, subject, Value::MakeInteger(2), wanted);
}

bool DivisibleBy(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  const Value& divisor = arguments.Need("num");
  arguments.Done();
  return RemainderIs(interpreter, subject, divisor, 0);
}

bool SameAs(Interpreter&, const Value& subject, ArgumentReader& arguments) {
  const Value& other = arguments.Need("other");
  arguments.Done();
  return IsSame(subject, other);
}

template <CharacterClass wanted>
bool LettersAre(Interpreter&, const Value& subject, ArgumentReader& arguments) {
  arguments.Done();
  return IsAll(ToText(subject).bytes(), wanted);
}

template <auto find>
bool Exists(Interpreter&, const Value& subject, ArgumentReader& arguments) {
  arguments.Done();
  return subject.text() != nullptr && find(subject.bytes()) != nullptr;
}

bool Defined(const Value& v) { return !v.IsUndefined(); }
bool NotDefined(const Value& v) { return v.IsUndefined(); }
bool IsNoneValue(const Value& v) { return v.IsNone(); }
bool IsBoolean(const Value& v) { return v.IsBool(); }
bool IsTrueValue(const Value& v) { return v.IsBool() && IsTrue(v); }
bool IsFalseValue(const Value& v) { return v.IsBool() && !IsTrue(v); }
bool IsIntegerValue(const Value& v) { return v.IsInteger(); }
bool IsFloatValue(const Value& v) { return v.IsFloat(); }
bool IsNumberValue(const Value& v) { return v.IsNumber(); }
bool IsString(const Value& v) { return v.text() != nullptr; }
bool IsMapping(const Value& v) { return v.dict() != nullptr; }
bool IsCallable(const Value& v) { return v.function() != nullptr || v.IsUndefined(); }
bool IsEscaped(const Value& v) { return v.text() != nullptr && v.text()->markup; }

}  // namespace

Test FindTest(std::string_view name) {
  static const auto* const kTests = new std::unordered_map<std::string_view, Test>{
      {"!=", Against<Operation::kNotEqual>},
      {"<", Against<Operation::kLess>},
      {"<=", Against<Operation::kLessOrEqual>},
      {"==", Against<Operation::kEqual>},
      {">", Against<Operation::kGreater>},
      {">=", Against<Operation::kGreaterOrEqual>},
      {"boolean", Plain<IsBoolean>},
      {"callable", Plain<IsCallable>},
      {"defined", Plain<Defined>},
      {"divisibleby", DivisibleBy},
      {"eq", Against<Operation::kEqual>},
      {"equalto", Against<Operation::kEqual>},
      {"escaped", Plain<IsEscaped>},
      {"even", Parity<0>},
      {"false", Plain<IsFalseValue>},
      {"filter", Exists<FindFilter>},
      {"float", Plain<IsFloatValue>},
      {"ge", Against<Operation::kGreaterOrEqual>},
      {"greaterthan", Against<Operation::kGreater>},
      {"gt", Against<Operation::kGreater>},
      {"in", Against<Operation::kIn>},
      {"integer", Plain<IsIntegerValue>},
      {"iterable", Plain<IsTestIterable>},
      {"le", Against<Operation::kLessOrEqual>},
      {"lessthan", Against<Operation::kLess>},
      {"lower", LettersAre<CharacterClass::kLower>},
      {"lt", Against<Operation::kLess>},
      {"mapping", Plain<IsMapping>},
      {"ne", Against<Operation::kNotEqual>},
      {"none", Plain<IsNoneValue>},
      {"number", Plain<IsNumberValue>},
      {"odd", Parity<1>},
      {"sameas", SameAs},
      {"sequence", Plain<IsTestSequence>},
      {"string", Plain<IsString>},
      {"test", Exists<FindTest>},
      {"true", Plain<IsTrueValue>},
      {"undefined", Plain<NotDefined>},
      {"upper", LettersAre<CharacterClass::kUpper>},
  };
  const auto found = kTests->find(name);
  return found == kTests->end() ? nullptr : found->second;
}

}  // namespace tanren::text::jinja
