// Python's operators on template values. All throw on operands that Python would refuse.
#ifndef TANREN_RUNTIME_TEXT_JINJA_OPERATORS_H_
#define TANREN_RUNTIME_TEXT_JINJA_OPERATORS_H_

#include <optional>
#include <string_view>

#include "runtime/text/jinja_budget.h"
#include "runtime/text/jinja_value.h"

namespace tanren::text::jinja {

// + - * / // % **, on numbers, strings and lists.
Value ApplyBinary(std::string_view operation, const Value& left, const Value& right,
                  Budget* budget);
// Unary - and +.
Value ApplySign(std::string_view operation, const Value& operand);
// == != < <= > >= in, not in.
bool Compare(std::string_view operation, const Value& left, const Value& right);
bool Contains(const Value& container, const Value& item);

// container[index]; undefined if it isn't there.
Value GetItem(const Value& container, const Value& index, Budget* budget);
// object.name: a method, else an element.
Value GetAttribute(const Value& object, const std::string& name);
// object[begin:end:step]; None and absent mean the same.
Value GetSlice(const Value& object, const Value& begin, const Value& end, const Value& step,
               Budget* budget);

// 'format' % value, for %s, %d, %i, %f and %r without widths, and %%.
Value FormatPercent(const TrackedText& format, const Value& value, Budget* budget);

}  // namespace tanren::text::jinja

#endif  // TANREN_RUNTIME_TEXT_JINJA_OPERATORS_H_
