// Elements, attributes and slices of values; % formatting.
#include <algorithm>
#include <cmath>

#include "runtime/text/jinja_builtins.h"
#include "runtime/text/jinja_error.h"
#include "runtime/text/jinja_operators.h"
#include "runtime/text/python_text.h"

namespace tanren::text::jinja {

namespace {

std::string ObjectName(const Value& object) {
  return object.IsNone() ? "None" : fmt::format("'{} object'", TypeName(object));
}

Value NoAttribute(const Value& object, std::string_view name) {
  return Value::MakeUndefined(fmt::format("{} has no attribute '{}'", ObjectName(object), name));
}

// What lies under the key `name`, for kinds that have such; null otherwise.
const Value* FindKey(const Value& object, const std::string& name) {
  if (object.dict() != nullptr) return object.dict()->Find(name);
  if (object.name_space() != nullptr) return object.name_space()->attributes.Find(name);
  return nullptr;
}

struct SliceRange {
  int64_t begin, end, step;
};

int64_t SliceBound(const Value& bound, int64_t fallback, int64_t length, int64_t low,
                   int64_t high) {
  if (bound.IsNone()) return fallback;
  if (!bound.AsInteger()) Unsupported("slice bounds of type '{}'", TypeName(bound));
  int64_t index = *bound.AsInteger();
  if (index < 0) index = index < -length ? low : index + length;
  return std::clamp(index, low, high);
}

SliceRange ResolveSlice(const Value& begin, const Value& end, const Value& step, int64_t length) {
  SliceRange range{0, length, 1};
  if (!step.IsNone()) {
    if (!step.AsInteger()) Unsupported("slice bounds of type '{}'", TypeName(step));
    range.step = *step.AsInteger();
    if (range.step == 0) Fail("a slice's step can't be zero");
    // Steps beyond the length are all alike; this keeps the walk from overflowing.
    range.step = std::clamp(range.step, -length - 1, length + 1);
  }
  const bool forward = range.step > 0;
  const int64_t low = forward ? 0 : -1, high = forward ? length : length - 1;
  range.begin = SliceBound(begin, forward ? low : high, length, low, high);
  range.end = SliceBound(end, forward ? high : low, length, low, high);
  return range;
}

}  // namespace

Value GetItem(const Value& container, const Value& index, Budget* budget) {
  if (container.IsUndefined()) Fail("{}", container.undefined_reason());
  if (container.dict() != nullptr) {
    if (const Value* found = container.dict()->Find(index)) return *found;
  } else if (const auto integer = index.AsInteger()) {
    const Sequence* sequence = container.sequence();
    const bool indexed = sequence != nullptr && (sequence->form == Sequence::Form::kList ||
                                                 sequence->form == Sequence::Form::kTuple ||
                                                 sequence->form == Sequence::Form::kRange);
    if (indexed) {
      const auto length = static_cast<int64_t>(sequence->items.size());
      const int64_t place = *integer < 0 ? *integer + length : *integer;
      if (place >= 0 && place < length) return sequence->items[static_cast<size_t>(place)];
    } else if (container.text() != nullptr) {
      const TrackedText& text = container.text()->text;
      budget->ChargeText(text.size());
      const std::vector<size_t> offsets = CodePointOffsets(text.bytes());
      const auto length = static_cast<int64_t>(offsets.size()) - 1;
      const int64_t place = *integer < 0 ? *integer + length : *integer;
      if (place >= 0 && place < length) {
        const auto at = static_cast<size_t>(place);
        return Value::MakeText(text.Slice(offsets[at], offsets[at + 1]));
      }
    }
  }
  if (index.text() != nullptr) {
    const std::string name(index.bytes());
    const Value method = FindMethod(container, name);
    if (!method.IsUndefined()) return method;
    return NoAttribute(container, name);
  }
  return Value::MakeUndefined(
      fmt::format("{} has no element {}", ObjectName(container), ToRepr(index).bytes()));
}

Value GetAttribute(const Value& object, const std::string& name) {
  if (object.IsUndefined()) Fail("{}", object.undefined_reason());
  // A namespace's attributes come first; a dict's methods hide keys of the same name.
  if (object.name_space() != nullptr) {
    if (const Value* found = FindKey(object, name)) return *found;
    return NoAttribute(object, name);
  }
  Value method = FindMethod(object, name);
  if (!method.IsUndefined()) return method;
  if (const Value* found = FindKey(object, name)) return *found;
  return NoAttribute(object, name);
}

Value GetSlice(const Value& object, const Value& begin, const Value& end, const Value& step,
               Budget* budget) {
  if (object.IsUndefined()) Fail("{}", object.undefined_reason());
  if (const Text* text = object.text()) {
    budget->ChargeText(text->text.size());
    const std::vector<size_t> offsets = CodePointOffsets(text->text.bytes());
    const auto length = static_cast<int64_t>(offsets.size()) - 1;
    const SliceRange range = ResolveSlice(begin, end, step, length);
    if (range.step == 1) {
      const auto from = static_cast<size_t>(range.begin);
      const auto to = static_cast<size_t>(std::max(range.begin, range.end));
      return Value::MakeText(text->text.Slice(offsets[from], offsets[to]), text->markup);
    }
    TrackedText slice;
    for (int64_t i = range.begin; range.step > 0 ? i < range.end : i > range.end; i += range.step) {
      budget->Charge(1);
      slice.AppendSlice(text->text, offsets[static_cast<size_t>(i)],
                        offsets[static_cast<size_t>(i) + 1]);
    }
    return Value::MakeText(std::move(slice), text->markup);
  }
  const Sequence* sequence = object.sequence();
  if (sequence == nullptr || sequence->form == Sequence::Form::kGenerator ||
      sequence->form == Sequence::Form::kView) {
    // Jinja fails, but where all of it is constant, which gives undefined.
    Unsupported("a slice of a '{}'", TypeName(object));
  }
  const auto length = static_cast<int64_t>(sequence->items.size());
  const SliceRange range = ResolveSlice(begin, end, step, length);
  std::vector<Value> items;
  for (int64_t i = range.begin; range.step > 0 ? i < range.end : i > range.end; i += range.step) {
    budget->Charge(1);
    items.push_back(sequence->items[static_cast<size_t>(i)]);
  }
  const bool tuple = sequence->form == Sequence::Form::kTuple;
  return MakeSequence(std::move(items), tuple ? Sequence::Form::kTuple : Sequence::Form::kList);
}

Value FormatPercent(const TrackedText& format, const Value& value, Budget* budget) {
  std::vector<Value> values;
  const bool tuple = value.sequence() && value.sequence()->form == Sequence::Form::kTuple;
  if (tuple) {
    values = value.sequence()->items;
  } else {
    values.push_back(value);
  }
  TrackedText result;
  size_t next = 0, kept = 0;
  const std::string_view bytes = format.bytes();
  for (size_t at = bytes.find('%'); at != std::string_view::npos; at = bytes.find('%', kept)) {
    result.AppendSlice(format, kept, at);
    const char kind = at + 1 < bytes.size() ? bytes[at + 1] : '\0';
    kept = std::min(at + 2, bytes.size());
    if (kind == '%') {
      result.Append("%");
      continue;
    }
    if (kind != 's' && kind != 'd' && kind != 'i' && kind != 'f' && kind != 'r') {
      Unsupported("'%{}' in a format; only %s, %d, %i, %f, %r and %%", kind);
    }
    if (next >= values.size()) Fail("not enough values for the format");
    const Value& item = values[next++];
    if (kind == 's' || kind == 'r') {
      const TrackedText text = kind == 's' ? ToText(item) : ToRepr(item);
      budget->ChargeText(result.size() + text.size());
      result.Append(text);
      continue;
    }
    if (!item.IsNumber()) Fail("'%{}' needs a number, found '{}'", kind, TypeName(item));
    if (kind == 'f') {
      result.Append(fmt::format("{:f}", item.AsDouble()));
    } else {
      result.Append(item.IsFloat() ? fmt::format("{:.0f}", std::trunc(item.AsDouble()))
                                   : std::to_string(*item.AsInteger()));
    }
  }
  result.AppendSlice(format, kept, bytes.size());
  if (next < values.size() && (tuple || value.dict() == nullptr)) {
    Fail("the format doesn't use all of its values");
  }
  return Value::MakeText(std::move(result));
}

}  // namespace tanren::text::jinja
