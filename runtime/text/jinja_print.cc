// How values print: Python's str() and repr().
#include <charconv>
#include <cmath>
#include <string>

#include "runtime/text/jinja_error.h"
#include "runtime/text/jinja_value.h"
#include "runtime/text/python_text.h"

namespace tanren::text::jinja {

std::string FloatRepr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  const std::string scientific(buffer, end.ptr);
  // Python turns to an exponent below 1e-4 and from 1e16 on.
  const size_t e = scientific.find('e');
  const int exponent = std::stoi(scientific.substr(e + 1));
  if (exponent < -4 || exponent >= 16) return scientific;
  const auto fixed =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed);
  std::string text(buffer, fixed.ptr);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

namespace {

std::string Scalar(const Value& value) {
  if (value.IsUndefined()) return "Undefined";
  if (value.IsNone()) return "None";
  if (value.IsBool()) return *value.AsInteger() != 0 ? "True" : "False";
  if (value.IsInteger()) return std::to_string(*value.AsInteger());
  if (value.IsFloat()) return FloatRepr(value.AsDouble());
  // Python prints an address here: nothing that a prompt could depend on.
  Unsupported("printing a {}", TypeName(value));
}

TrackedText SequenceRepr(const Sequence& sequence, int origin) {
  const auto own = [&](std::string_view bytes) { return TrackedText(bytes, origin, false); };
  if (sequence.form == Sequence::Form::kGenerator) Unsupported("printing a generator; use | list");
  if (sequence.form == Sequence::Form::kRange) return own(sequence.name);
  const bool tuple = sequence.form == Sequence::Form::kTuple;
  TrackedText text = own(sequence.name);
  if (!sequence.name.empty()) text.Append(own("("));
  text.Append(own(tuple ? "(" : "["));
  for (size_t i = 0; i < sequence.items.size(); ++i) {
    if (i > 0) text.Append(own(", "));
    text.Append(ToRepr(sequence.items[i]));
  }
  if (tuple && sequence.items.size() == 1) text.Append(own(","));
  text.Append(own(tuple ? ")" : "]"));
  if (!sequence.name.empty()) text.Append(own(")"));
  return text;
}

TrackedText DictRepr(const Dict& dict, int origin) {
  const auto own = [&](std::string_view bytes) { return TrackedText(bytes, origin, false); };
  TrackedText text = own("{");
  for (size_t i = 0; i < dict.entries.size(); ++i) {
    if (i > 0) text.Append(own(", "));
    text.Append(ToRepr(dict.entries[i].first));
    text.Append(own(": "));
    text.Append(ToRepr(dict.entries[i].second));
  }
  text.Append(own("}"));
  return text;
}

}  // namespace

TrackedText ToRepr(const Value& value) {
  if (value.text() != nullptr) return ReprOf(value.text()->text);
  if (value.sequence() != nullptr) return SequenceRepr(*value.sequence(), value.origin());
  if (value.dict() != nullptr) return DictRepr(*value.dict(), value.origin());
  return TrackedText(Scalar(value), value.origin(), false);
}

TrackedText ToText(const Value& value) {
  if (value.text() != nullptr) return value.text()->text;
  if (value.IsUndefined()) return TrackedText();
  return ToRepr(value);
}

}  // namespace tanren::text::jinja
