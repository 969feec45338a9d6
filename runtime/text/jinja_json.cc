// tojson.
#include <algorithm>
#include <cmath>

#include "runtime/text/jinja_error.h"
#include "runtime/text/jinja_interpreter.h"
#include "runtime/text/unicode.h"

namespace tanren::text::jinja {

namespace {

std::string JsonEscape(char32_t c, bool ensure_ascii) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\f':
      return "\\f";
    case '\b':
      return "\\b";
    default:
      break;
  }
  const auto code = static_cast<uint32_t>(c);
  if (code < 0x20 || (ensure_ascii && code >= 0x7F && code < 0x10000)) {
    // DEL is ASCII and stays as it is.
    return code == 0x7F ? std::string() : fmt::format("\\u{:04x}", code);
  }
  if (!ensure_ascii || code < 0x10000) return {};
  const uint32_t rest = code - 0x10000;  // as a surrogate pair
  return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Interpreter* interpreter)
      : style_(style), interpreter_(interpreter) {}

  void Write(const Value& value, int depth) {
    interpreter_->budget().Charge(1);
    if (value.text() != nullptr) {
      String(value.text()->text);
    } else if (value.sequence() != nullptr) {
      List(value, depth);
    } else if (value.dict() != nullptr) {
      Object(value, depth);
    } else {
      Own(Scalar(value), value);
    }
    interpreter_->budget().CheckText(out_.size());
  }

  TrackedText Take() { return std::move(out_); }

 private:
  static std::string Scalar(const Value& value) {
    if (value.IsNone()) return "null";
    if (value.IsBool()) return *value.AsInteger() != 0 ? "true" : "false";
    if (value.IsInteger()) return std::to_string(*value.AsInteger());
    if (!value.IsFloat()) Fail("tojson: a value of type {} has no JSON form", TypeName(value));
    const double number = value.AsDouble();
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
    return FloatRepr(number);
  }

  // Bytes that stand for `value`, as far as it came from a message.
  void Own(std::string_view bytes, const Value& value) {
    out_.Append(TrackedText(bytes, value.origin(), false));
  }

  void NewLine(const Value& container, int depth) {
    if (!style_.indented) return;
    const auto levels = static_cast<size_t>(depth);
    interpreter_->budget().ChargeTexts(levels, style_.indent.size());
    interpreter_->budget().CheckText(out_.size() + levels * style_.indent.size());
    std::string line = "\n";
    for (size_t i = 0; i < levels; ++i) line += style_.indent;
    Own(line, container);
  }

  void String(const TrackedText& text) {
    interpreter_->budget().ChargeText(text.size());
    // Quotes belong to the field, though they are no copies of it.
    out_.AppendChanged("\"", text, 0, text.size());
    size_t kept = 0;
    for (size_t at = 0; at < text.size();) {
      const DecodedCodePoint decoded = DecodeFirst(text.bytes().substr(at));
      const std::string escape = JsonEscape(decoded.code_point, style_.ensure_ascii);
      if (!escape.empty()) {
        out_.AppendSlice(text, kept, at);
        out_.AppendChanged(escape, text, at, at + decoded.length);
        kept = at + decoded.length;
      }
      at += decoded.length;
    }
    out_.AppendSlice(text, kept, text.size());
    out_.AppendChanged("\"", text, 0, text.size());
  }

  void List(const Value& value, int depth) {
    const Sequence& sequence = *value.sequence();
    if (sequence.form == Sequence::Form::kGenerator || sequence.form == Sequence::Form::kView ||
        sequence.form == Sequence::Form::kRange) {
      Fail("tojson: a {} has no JSON form; put | list before it", TypeName(value));
    }
    Own("[", value);
    for (size_t i = 0; i < sequence.items.size(); ++i) {
      if (i > 0) Own(style_.item_separator, value);
      NewLine(value, depth + 1);
      Write(sequence.items[i], depth + 1);
    }
    if (!sequence.items.empty()) NewLine(value, depth);
    Own("]", value);
  }

  void Object(const Value& value, int depth) {
    auto entries = value.dict()->entries;
    interpreter_->budget().Charge(entries.size());
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [](const auto& a, const auto& b) { return Less(a.first, b.first); });
    }
    Own("{", value);
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) Own(style_.item_separator, value);
      NewLine(value, depth + 1);
      const Value& key = entries[i].first;
      String(key.text() != nullptr ? key.text()->text : TrackedText(Scalar(key)));
      Own(style_.key_separator, value);
      Write(entries[i].second, depth + 1);
    }
    if (!entries.empty()) NewLine(value, depth);
    Own("}", value);
  }

  const JsonStyle& style_;
  Interpreter* interpreter_;
  TrackedText out_;
};

}  // namespace

TrackedText DumpJson(const Value& value, const JsonStyle& style, Interpreter* interpreter) {
  JsonWriter writer(style, interpreter);
  writer.Write(value, 0);
  return writer.Take();
}

}  // namespace tanren::text::jinja
