#include "runtime/text/jinja_operators.h"

#include <algorithm>
#include <cmath>

#include "runtime/text/jinja_error.h"
#include "runtime/text/python_text.h"

namespace tanren::text::jinja {

namespace {

Value PowerOfIntegers(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) Fail("0 can't be raised to a negative power");
    return Value::MakeFloat(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  // Beyond 63 rounds only -1, 0 and 1 don't overflow, and they have period 2.
  if (exponent > 64) exponent = 64 + exponent % 2;
  for (int64_t i = 0; i < exponent; ++i) {
    if (__builtin_mul_overflow(result, base, &result)) Unsupported("integers of more than 64 bits");
  }
  return Value::MakeInteger(result);
}

Value BinaryOnIntegers(std::string_view operation, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  if (operation == "+") {
    overflow = __builtin_add_overflow(a, b, &result);
  } else if (operation == "-") {
    overflow = __builtin_sub_overflow(a, b, &result);
  } else if (operation == "*") {
    overflow = __builtin_mul_overflow(a, b, &result);
  } else if (operation == "**") {
    return PowerOfIntegers(a, b);
  } else {
    if (b == 0) Fail("division by zero");
    if (operation == "/") return Value::MakeFloat(static_cast<double>(a) / static_cast<double>(b));
    if (b == -1) {  // the one division that overflows
      overflow = __builtin_sub_overflow(int64_t{0}, a, &result);
      if (operation == "%") return Value::MakeInteger(0);
    } else {
      // Python rounds down; the remainder takes the divisor's sign.
      const bool adjust = a % b != 0 && ((a < 0) != (b < 0));
      result = operation == "//" ? a / b - (adjust ? 1 : 0) : a % b + (adjust ? b : 0);
    }
  }
  if (overflow) Unsupported("integers of more than 64 bits");
  return Value::MakeInteger(result);
}

Value BinaryOnFloats(std::string_view operation, double a, double b) {
  if (operation == "+") return Value::MakeFloat(a + b);
  if (operation == "-") return Value::MakeFloat(a - b);
  if (operation == "*") return Value::MakeFloat(a * b);
  if (operation == "**") return Value::MakeFloat(std::pow(a, b));
  if (b == 0) Fail("division by zero");
  if (operation == "/") return Value::MakeFloat(a / b);
  // Python's divmod of floats, with its signs of zero.
  double remainder = std::fmod(a, b);
  double quotient = (a - remainder) / b;
  if (remainder == 0) {
    remainder = std::copysign(0.0, b);
  } else if ((remainder < 0) != (b < 0)) {
    remainder += b;
    quotient -= 1;
  }
  if (operation == "%") return Value::MakeFloat(remainder);
  if (quotient == 0) return Value::MakeFloat(std::copysign(0.0, a / b));
  const double floor = std::floor(quotient);
  return Value::MakeFloat(quotient - floor > 0.5 ? floor + 1 : floor);
}

Value AddTexts(const Text& left, const Text& right, Budget* budget) {
  budget->ChargeText(left.text.size() + right.text.size());
  budget->Charge(left.text.spans().size() + right.text.spans().size());
  TrackedText sum;
  sum.Append(right.markup && !left.markup ? EscapeHtml(left.text) : left.text);
  sum.Append(left.markup && !right.markup ? EscapeHtml(right.text) : right.text);
  return Value::MakeText(std::move(sum), left.markup || right.markup);
}

Value AddSequences(const Sequence& left, const Sequence& right, Budget* budget) {
  budget->Charge(left.items.size() + right.items.size());
  std::vector<Value> items = left.items;
  items.insert(items.end(), right.items.begin(), right.items.end());
  return MakeSequence(std::move(items), left.form);
}

bool IsListOrTuple(const Value& value) {
  return value.sequence() != nullptr && (value.sequence()->form == Sequence::Form::kList ||
                                         value.sequence()->form == Sequence::Form::kTuple);
}

Value Repeat(const Value& value, int64_t times, Budget* budget) {
  const auto count = static_cast<size_t>(std::max<int64_t>(times, 0));
  if (value.text() != nullptr) {
    const TrackedText& text = value.text()->text;
    budget->ChargeTexts(count, text.size());
    budget->ChargeTexts(count, text.spans().size());
    TrackedText repeated;
    for (size_t i = 0; i < count && !text.empty(); ++i) repeated.Append(text);
    return Value::MakeText(std::move(repeated), value.text()->markup);
  }
  const Sequence& sequence = *value.sequence();
  std::vector<Value> items;
  for (size_t i = 0; i < count && !sequence.items.empty(); ++i) {
    budget->Charge(sequence.items.size());
    items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  }
  return MakeSequence(std::move(items), sequence.form);
}

}  // namespace

Value ApplyBinary(std::string_view operation, const Value& left, const Value& right,
                  Budget* budget) {
  if (left.IsUndefined()) Fail("{}", left.undefined_reason());
  if (right.IsUndefined() && !(operation == "%" && left.text() != nullptr)) {
    Fail("{}", right.undefined_reason());
  }
  if (left.IsNumber() && right.IsNumber()) {
    if (left.IsFloat() || right.IsFloat()) {
      return BinaryOnFloats(operation, left.AsDouble(), right.AsDouble());
    }
    return BinaryOnIntegers(operation, *left.AsInteger(), *right.AsInteger());
  }
  if (operation == "+") {
    if (left.text() && right.text()) return AddTexts(*left.text(), *right.text(), budget);
    if (IsListOrTuple(left) && IsListOrTuple(right) &&
        left.sequence()->form == right.sequence()->form) {
      return AddSequences(*left.sequence(), *right.sequence(), budget);
    }
  }
  if (operation == "*") {
    const auto repeats = [](const Value& v) { return v.text() != nullptr || IsListOrTuple(v); };
    if (repeats(left) && right.AsInteger()) return Repeat(left, *right.AsInteger(), budget);
    if (repeats(right) && left.AsInteger()) return Repeat(right, *left.AsInteger(), budget);
  }
  if (operation == "%" && left.text()) return FormatPercent(left.text()->text, right, budget);
  if (operation == "+" && (left.text() || right.text())) {
    Fail("can't concatenate '{}' and '{}' with +", TypeName(left), TypeName(right));
  }
  Fail("'{}' doesn't take '{}' and '{}'", operation, TypeName(left), TypeName(right));
}

Value ApplySign(std::string_view operation, const Value& operand) {
  if (operand.IsUndefined()) Fail("{}", operand.undefined_reason());
  if (!operand.IsNumber()) Fail("unary '{}' doesn't take '{}'", operation, TypeName(operand));
  if (operand.IsFloat()) {
    return Value::MakeFloat(operation == "-" ? -operand.AsDouble() : operand.AsDouble());
  }
  return operation == "-" ? BinaryOnIntegers("-", 0, *operand.AsInteger())
                          : Value::MakeInteger(*operand.AsInteger());
}

bool Contains(const Value& container, const Value& item) {
  if (container.text() != nullptr) {
    if (item.IsUndefined()) Fail("{}", item.undefined_reason());
    if (item.text() == nullptr) {
      Fail("'in' a string needs a string on its left, found '{}'", TypeName(item));
    }
    return container.bytes().find(item.bytes()) != std::string_view::npos;
  }
  if (container.dict() != nullptr) {
    if (item.sequence() != nullptr || item.dict() != nullptr) {
      Fail("unhashable type: '{}'", TypeName(item));
    }
    return container.dict()->Find(item) != nullptr;
  }
  if (container.IsUndefined()) return false;
  if (container.sequence() == nullptr) {
    Fail("argument of type '{}' is not iterable", TypeName(container));
  }
  const std::vector<Value> items = Iterate(container);
  return std::any_of(items.begin(), items.end(), [&](const Value& v) { return Equal(v, item); });
}

bool Compare(std::string_view operation, const Value& left, const Value& right) {
  if (operation == "==") return Equal(left, right);
  if (operation == "!=") return !Equal(left, right);
  if (operation == "in") return Contains(right, left);
  if (operation == "not in") return !Contains(right, left);
  const bool not_a_number = (left.IsFloat() && std::isnan(left.AsDouble())) ||
                            (right.IsFloat() && std::isnan(right.AsDouble()));
  if (not_a_number && left.IsNumber() && right.IsNumber()) return false;
  if (operation == "<") return Less(left, right);
  if (operation == ">") return Less(right, left);
  if (operation == "<=") return !Less(right, left);
  return !Less(left, right);
}

}  // namespace tanren::text::jinja
