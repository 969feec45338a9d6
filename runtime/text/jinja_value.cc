#include "runtime/text/jinja_value.h"

#include <algorithm>

#include "runtime/text/jinja_error.h"
#include "runtime/text/python_text.h"

namespace tanren::text::jinja {

Value Value::MakeUndefined(std::string reason) {
  return Value(Data(Undefined{std::make_shared<const std::string>(std::move(reason))}));
}

Value Value::MakeText(TrackedText text, bool markup) {
  return Value(Data(std::make_shared<const Text>(Text{std::move(text), markup})));
}

Value Value::MakeFunction(std::string name, std::function<Value(Interpreter&, Arguments&)> call) {
  return Value(Data(std::make_shared<const Function>(Function{std::move(name), std::move(call)})));
}

std::string Value::undefined_reason() const {
  const auto* undefined = std::get_if<Undefined>(&data_);
  if (undefined == nullptr || undefined->reason == nullptr) return "the value is undefined";
  return *undefined->reason;
}

std::optional<int64_t> Value::AsInteger() const {
  if (const auto* integer = std::get_if<int64_t>(&data_)) return *integer;
  if (const auto* boolean = std::get_if<bool>(&data_)) return *boolean ? 1 : 0;
  return std::nullopt;
}

double Value::AsDouble() const {
  if (const auto* number = std::get_if<double>(&data_)) return *number;
  return static_cast<double>(AsInteger().value_or(0));
}

namespace {

// The depth of a container that holds `item`. What could make a cycle is kept out, so that values
// are trees: their memory is freed and printing them ends.
int DepthAround(const Value& item) {
  if (item.name_space() != nullptr || item.loop() != nullptr || item.function() != nullptr) {
    Unsupported("a {} inside a list or dict", TypeName(item));
  }
  int depth = 1;
  if (item.sequence() != nullptr) depth = 1 + item.sequence()->depth;
  if (item.dict() != nullptr) depth = 1 + item.dict()->depth;
  if (depth > kMaxNesting) OverLimit("lists and dicts are nested more than {} deep", kMaxNesting);
  return depth;
}

}  // namespace

Value MakeSequence(std::vector<Value> items, Sequence::Form form, int origin, std::string name) {
  int depth = 1;
  for (const Value& item : items) depth = std::max(depth, DepthAround(item));
  return Value(Value::Data(std::make_shared<const Sequence>(
                   Sequence{form, std::move(items), depth, std::move(name)})),
               origin);
}

Value MakeDict(Dict dict, int origin) {
  for (const auto& [key, value] : dict.entries)
    dict.depth = std::max(dict.depth, DepthAround(value));
  return Value(Value::Data(std::make_shared<const Dict>(std::move(dict))), origin);
}

const Value* Dict::Find(const std::string& key) const {
  const auto found = text_keys_.find(key);
  return found == text_keys_.end() ? nullptr : &entries[found->second].second;
}

const Value* Dict::Find(const Value& key) const {
  if (key.text() != nullptr) return Find(std::string(key.bytes()));
  for (const auto& [existing, value] : entries) {
    if (Equal(existing, key)) return &value;
  }
  return nullptr;
}

void Dict::Set(Value key, Value value) {
  if (const Value* existing = Find(key)) {
    *const_cast<Value*>(existing) = std::move(value);
    return;
  }
  if (key.text() != nullptr) {
    text_keys_.emplace(std::string(key.bytes()), entries.size());
  } else if (key.IsUndefined()) {
    Unsupported("an undefined value as the key of a dict");
  } else if (!key.IsNumber() && !key.IsNone()) {
    Fail("unhashable type: '{}' can't be the key of a dict", TypeName(key));
  }
  entries.emplace_back(std::move(key), std::move(value));
}

std::string_view TypeName(const Value& value) {
  static constexpr std::string_view kNames[] = {"Undefined", "NoneType",    "bool",    "int",
                                                "float",     "str",         "list",    "dict",
                                                "Namespace", "LoopContext", "function"};
  if (const Sequence* sequence = value.sequence()) {
    static constexpr std::string_view kForms[] = {"list", "tuple", "range", "dict_view",
                                                  "generator"};
    return kForms[static_cast<size_t>(sequence->form)];
  }
  return kNames[value.data().index()];
}

bool IsTrue(const Value& value) {
  if (value.IsUndefined() || value.IsNone()) return false;
  if (value.IsNumber()) return value.AsDouble() != 0;
  if (value.text() != nullptr) return !value.bytes().empty();
  if (const Sequence* sequence = value.sequence()) {
    // Python's generators don't know whether they are empty.
    return sequence->form == Sequence::Form::kGenerator || !sequence->items.empty();
  }
  if (value.dict() != nullptr) return !value.dict()->entries.empty();
  return true;
}

namespace {

bool EqualSequences(const Sequence& left, const Sequence& right) {
  if (left.form != right.form || left.items.size() != right.items.size()) return false;
  return std::equal(left.items.begin(), left.items.end(), right.items.begin(), Equal);
}

bool EqualDicts(const Dict& left, const Dict& right) {
  if (left.entries.size() != right.entries.size()) return false;
  return std::all_of(left.entries.begin(), left.entries.end(), [&](const auto& entry) {
    const Value* other = right.Find(entry.first);
    return other != nullptr && Equal(entry.second, *other);
  });
}

}  // namespace

bool Equal(const Value& left, const Value& right) {
  if (left.IsNumber() && right.IsNumber()) {
    if (!left.IsFloat() && !right.IsFloat()) return left.AsInteger() == right.AsInteger();
    return left.AsDouble() == right.AsDouble();
  }
  if (left.data().index() != right.data().index()) return false;
  if (left.text() != nullptr) return left.bytes() == right.bytes();
  if (left.sequence() != nullptr) return EqualSequences(*left.sequence(), *right.sequence());
  if (left.dict() != nullptr) return EqualDicts(*left.dict(), *right.dict());
  if (left.IsUndefined() || left.IsNone()) return true;
  return left.name_space() == right.name_space() && left.loop() == right.loop() &&
         left.function() == right.function();
}

bool Less(const Value& left, const Value& right) {
  if (left.IsNumber() && right.IsNumber()) {
    if (!left.IsFloat() && !right.IsFloat()) return *left.AsInteger() < *right.AsInteger();
    return left.AsDouble() < right.AsDouble();
  }
  // Code points order as their UTF-8 bytes do.
  if (left.text() != nullptr && right.text() != nullptr) return left.bytes() < right.bytes();
  const Sequence* a = left.sequence();
  const Sequence* b = right.sequence();
  const bool ordered = a != nullptr && b != nullptr && a->form == b->form &&
                       (a->form == Sequence::Form::kList || a->form == Sequence::Form::kTuple);
  if (!ordered) {
    if (left.IsUndefined()) Fail("{}", left.undefined_reason());
    if (right.IsUndefined()) Fail("{}", right.undefined_reason());
    Fail("'{}' and '{}' have no order", TypeName(left), TypeName(right));
  }
  for (size_t i = 0; i < a->items.size() && i < b->items.size(); ++i) {
    if (!Equal(a->items[i], b->items[i])) return Less(a->items[i], b->items[i]);
  }
  return a->items.size() < b->items.size();
}

std::vector<Value> Iterate(const Value& value) {
  if (value.IsUndefined()) return {};
  std::vector<Value> items;
  if (const Sequence* sequence = value.sequence()) {
    if (sequence->form == Sequence::Form::kGenerator) {
      if (sequence->consumed) return {};
      sequence->consumed = true;
    }
    return sequence->items;
  }
  if (const Dict* dict = value.dict()) {
    for (const auto& entry : dict->entries) items.push_back(entry.first);
    return items;
  }
  if (value.text() == nullptr) Fail("'{}' object is not iterable", TypeName(value));
  const TrackedText& text = value.text()->text;
  const std::vector<size_t> offsets = CodePointOffsets(text.bytes());
  for (size_t i = 0; i + 1 < offsets.size(); ++i) {
    items.push_back(Value::MakeText(text.Slice(offsets[i], offsets[i + 1])));
  }
  return items;
}

}  // namespace tanren::text::jinja
