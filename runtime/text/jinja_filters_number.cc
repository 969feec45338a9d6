// Filters that give numbers.
#include <cfenv>
#include <charconv>
#include <cmath>

#include "runtime/text/jinja_error.h"
#include "runtime/text/jinja_interpreter.h"
#include "runtime/text/jinja_operators.h"
#include "runtime/text/python_text.h"

namespace tanren::text::jinja {

namespace {

// Digits without the underscores that Python allows between them; nothing if it isn't so written.
std::optional<std::string> PlainDigits(std::string_view text) {
  const TrackedText stripped = Strip(TrackedText(text), StripSides::kBoth);
  std::string digits(stripped.bytes());
  if (!digits.empty() && digits[0] == '+') digits.erase(0, 1);
  for (size_t at = digits.find('_'); at != std::string::npos; at = digits.find('_')) {
    const bool between = at > 0 && at + 1 < digits.size() && isdigit(digits[at - 1]) != 0 &&
                         isdigit(digits[at + 1]) != 0;
    if (!between) return std::nullopt;
    digits.erase(at, 1);
  }
  if (digits.empty() || digits.find_first_of("+xX(") == 0) return std::nullopt;
  return digits;
}

std::optional<int64_t> ParseInteger(std::string_view text, int base) {
  std::optional<std::string> digits = PlainDigits(text);
  if (!digits.has_value()) return std::nullopt;
  if (base == 16 && (digits->rfind("0x", 0) == 0 || digits->rfind("0X", 0) == 0)) {
    digits->erase(0, 2);
  }
  int64_t value = 0;
  const char* end = digits->data() + digits->size();
  const auto read = std::from_chars(digits->data(), end, value, base);
  if (read.ec == std::errc::result_out_of_range && read.ptr == end) {
    Unsupported("integers of more than 64 bits");
  }
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return value;
}

std::optional<double> ParseFloat(std::string_view text) {
  const std::optional<std::string> digits = PlainDigits(text);
  if (!digits.has_value()) return std::nullopt;
  double value = 0;
  const char* end = digits->data() + digits->size();
  const auto read = std::from_chars(digits->data(), end, value);
  if (read.ptr != end) return std::nullopt;
  if (read.ec == std::errc::result_out_of_range) {
    return std::strtod(digits->c_str(), nullptr);  // infinity or zero, as Python has it
  }
  return read.ec == std::errc() ? std::optional(value) : std::nullopt;
}

std::optional<int64_t> Truncated(double value) {
  if (std::isnan(value) || std::isinf(value)) return std::nullopt;
  if (std::abs(value) >= 9.2e18) Unsupported("integers of more than 64 bits");
  return static_cast<int64_t>(value);
}

Value IntFilter(Interpreter&, const Value& subject, ArgumentReader& arguments) {
  const Value* fallback = arguments.Take("default");
  const int64_t base = arguments.Integer("base", 10);
  arguments.Done();
  if (base < 2 || base > 36) Unsupported("base {} of the filter int", base);
  if (subject.IsUndefined()) Fail("{}", subject.undefined_reason());
  std::optional<int64_t> value;
  if (subject.text() != nullptr) {
    value = ParseInteger(subject.bytes(), static_cast<int>(base));
    if (!value) {
      if (const auto number = ParseFloat(subject.bytes())) value = Truncated(*number);
    }
  } else if (subject.IsFloat()) {
    value = Truncated(subject.AsDouble());
  } else {
    value = subject.AsInteger();
  }
  if (value) return Value::MakeInteger(*value);
  return fallback == nullptr ? Value::MakeInteger(0) : *fallback;
}

Value FloatFilter(Interpreter&, const Value& subject, ArgumentReader& arguments) {
  const Value* fallback = arguments.Take("default");
  arguments.Done();
  if (subject.IsUndefined()) Fail("{}", subject.undefined_reason());
  if (subject.IsNumber()) return Value::MakeFloat(subject.AsDouble());
  if (subject.text() != nullptr) {
    if (const auto value = ParseFloat(subject.bytes())) return Value::MakeFloat(*value);
  }
  return fallback == nullptr ? Value::MakeFloat(0.0) : *fallback;
}

Value AbsFilter(Interpreter&, const Value& subject, ArgumentReader& arguments) {
  arguments.Done();
  if (subject.IsUndefined()) Fail("{}", subject.undefined_reason());
  if (!subject.IsNumber()) Fail("abs doesn't take '{}'", TypeName(subject));
  if (subject.IsFloat()) return Value::MakeFloat(std::abs(subject.AsDouble()));
  return *subject.AsInteger() < 0 ? ApplySign("-", subject)
                                  : Value::MakeInteger(*subject.AsInteger());
}

// Rounds half to even on the exact binary value, as Python's round does: by printing it.
double RoundToDigits(double value, int64_t precision) {
  if (!std::isfinite(value)) return value;
  if (precision >= 0) {
    const std::string digits = fmt::format("{:.{}f}", value, std::min<int64_t>(precision, 330));
    return std::strtod(digits.c_str(), nullptr);
  }
  const double unit = std::pow(10.0, static_cast<double>(-precision));
  return std::isinf(unit) ? 0.0 : std::nearbyint(value / unit) * unit;
}

Value RoundFilter(Interpreter&, const Value& subject, ArgumentReader& arguments) {
  const Value* given = arguments.Take("precision");
  if (given != nullptr && given->IsFloat()) Unsupported("a precision of type 'float'");
  if (given != nullptr && !given->AsInteger()) {
    Fail("round: 'precision' is an integer, found '{}'", TypeName(*given));
  }
  const int64_t precision = given == nullptr ? 0 : *given->AsInteger();
  const Text* method = arguments.OptionalText("method");
  arguments.Done();
  const std::string_view name = method == nullptr ? "common" : method->text.bytes();
  if (name != "common" && name != "ceil" && name != "floor") {
    Fail("round: the method is common, ceil or floor, found '{}'", name);
  }
  if (subject.IsUndefined()) Fail("{}", subject.undefined_reason());
  if (!subject.IsNumber()) Fail("round doesn't take '{}'", TypeName(subject));
  if (precision < -300 || precision > 300) Fail("round: precision {} is out of range", precision);
  if (name == "common") {
    if (subject.IsFloat()) return Value::MakeFloat(RoundToDigits(subject.AsDouble(), precision));
    if (precision >= 0) return Value::MakeInteger(*subject.AsInteger());
    const auto rounded = RoundToDigits(subject.AsDouble(), precision);
    return Value::MakeInteger(Truncated(rounded).value_or(0));
  }
  // Python's 10**precision is an integer for precision >= 0.
  const double unit = std::pow(10.0, static_cast<double>(precision));
  const double scaled = subject.AsDouble() * unit;
  // There an integer is divided, which has no negative zero.
  const double whole = (name == "ceil" ? std::ceil(scaled) : std::floor(scaled)) + 0.0;
  return Value::MakeFloat(whole / unit);
}

Value LengthFilter(Interpreter&, const Value& subject, ArgumentReader& arguments) {
  arguments.Done();
  size_t length = 0;
  if (subject.text() != nullptr) {
    length = CountCodePoints(subject.bytes());
  } else if (subject.dict() != nullptr) {
    length = subject.dict()->entries.size();
  } else if (subject.loop() != nullptr) {
    length = subject.loop()->items.size();
  } else if (const Sequence* sequence = subject.sequence();
             sequence != nullptr && sequence->form != Sequence::Form::kGenerator) {
    length = sequence->items.size();
  } else if (!subject.IsUndefined()) {
    Fail("object of type '{}' has no length", TypeName(subject));
  }
  return Value::MakeInteger(static_cast<int64_t>(length));
}

}  // namespace

FilterTable NumberFilters() {
  static constexpr std::pair<std::string_view, Filter> kTable[] = {
      {"abs", AbsFilter}, {"count", LengthFilter},  {"float", FloatFilter},
      {"int", IntFilter}, {"length", LengthFilter}, {"round", RoundFilter},
  };
  return kTable;
}

}  // namespace tanren::text::jinja
