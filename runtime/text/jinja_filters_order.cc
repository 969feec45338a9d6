// Filters that compare the items of a sequence; AttributePath.
#include <algorithm>
#include <numeric>

#include "runtime/text/jinja_attribute_path.h"
#include "runtime/text/jinja_error.h"
#include "runtime/text/jinja_interpreter.h"
#include "runtime/text/jinja_operators.h"
#include "runtime/text/python_text.h"

namespace tanren::text::jinja {

AttributePath::AttributePath(const Value* attribute, const Value* fallback) {
  if (fallback != nullptr && !fallback->IsNone()) fallback_ = *fallback;
  if (attribute == nullptr || attribute->IsNone()) return;
  if (attribute->text() == nullptr) {
    parts_.push_back(*attribute);
    return;
  }
  for (const TrackedText& part : Split(attribute->text()->text, ".")) {
    const bool digits = IsAll(part.bytes(), CharacterClass::kDigit) && part.size() < 10;
    parts_.push_back(digits ? Value::MakeInteger(std::stoll(std::string(part.bytes())))
                            : Value::MakeText(part));
  }
}

Value AttributePath::Read(Interpreter& interpreter, Value item) const {
  for (const Value& part : parts_) {
    item = GetItem(item, part, &interpreter.budget());
    if (item.IsUndefined() && !fallback_.IsUndefined()) item = fallback_;
  }
  return item;
}

namespace {

// What items are compared by.
class SortKey {
 public:
  SortKey(bool case_sensitive, const Value* attribute)
      : case_sensitive_(case_sensitive), path_(attribute) {}
  Value Of(Interpreter& interpreter, const Value& item) const {
    Value key = path_.Read(interpreter, item);
    if (case_sensitive_ || key.text() == nullptr) return key;
    return interpreter.MakeText(ToCase(key.text()->text, LetterCase::kLower));
  }

 private:
  bool case_sensitive_;
  AttributePath path_;
};

std::vector<Value> SortBy(Interpreter& interpreter, const std::vector<Value>& items,
                          const std::vector<Value>& keys, bool reverse) {
  // Each comparison may fail, and is work.
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    interpreter.budget().Charge(1);
    return reverse ? Less(keys[b], keys[a]) : Less(keys[a], keys[b]);
  });
  std::vector<Value> sorted;
  for (const size_t index : order) sorted.push_back(items[index]);
  return sorted;
}

Value SortFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  const bool reverse = arguments.Flag("reverse", false);
  const bool case_sensitive = arguments.Flag("case_sensitive", false);
  const Value* attribute = arguments.Take("attribute");
  arguments.Done();
  if (attribute != nullptr && attribute->text() != nullptr &&
      attribute->bytes().find(',') != std::string_view::npos) {
    Unsupported("sorting by several attributes");
  }
  const SortKey key(case_sensitive, attribute);
  const std::vector<Value> items = Iterate(subject);
  interpreter.budget().Charge(items.size());
  std::vector<Value> keys;
  for (const Value& item : items) keys.push_back(key.Of(interpreter, item));
  return MakeSequence(SortBy(interpreter, items, keys, reverse));
}

Value DictSortFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  const bool case_sensitive = arguments.Flag("case_sensitive", false);
  const Text* by = arguments.OptionalText("by");
  const bool reverse = arguments.Flag("reverse", false);
  arguments.Done();
  const std::string_view what = by == nullptr ? "key" : by->text.bytes();
  if (what != "key" && what != "value") Fail("dictsort sorts by key or value, found '{}'", what);
  if (subject.IsUndefined()) Fail("{}", subject.undefined_reason());
  if (subject.dict() == nullptr) Fail("dictsort takes a mapping, found '{}'", TypeName(subject));
  const SortKey key(case_sensitive, nullptr);
  std::vector<Value> pairs, keys;
  interpreter.budget().Charge(subject.dict()->entries.size());
  for (const auto& [name, value] : subject.dict()->entries) {
    pairs.push_back(MakeSequence({name, value}, Sequence::Form::kTuple));
    keys.push_back(key.Of(interpreter, what == "key" ? name : value));
  }
  return MakeSequence(SortBy(interpreter, pairs, keys, reverse));
}

void CheckHashable(const Value& value) {
  const Sequence* sequence = value.sequence();
  const bool list = sequence != nullptr && sequence->form == Sequence::Form::kList;
  if (value.dict() != nullptr || list) Fail("unique: unhashable type: '{}'", TypeName(value));
  if (sequence == nullptr || sequence->form != Sequence::Form::kTuple) return;
  for (const Value& item : sequence->items) CheckHashable(item);
}

Value UniqueFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  const bool case_sensitive = arguments.Flag("case_sensitive", false);
  const SortKey key(case_sensitive, arguments.Take("attribute"));
  arguments.Done();
  std::vector<Value> kept, seen;
  for (const Value& item : Iterate(subject)) {
    Value found = key.Of(interpreter, item);
    CheckHashable(found);
    interpreter.budget().Charge(1 + seen.size());
    const auto same = [&](const Value& other) { return Equal(found, other); };
    if (std::any_of(seen.begin(), seen.end(), same)) continue;
    seen.push_back(std::move(found));
    kept.push_back(item);
  }
  return MakeSequence(std::move(kept), Sequence::Form::kGenerator);
}

template <bool largest>
Value ExtremeFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  const bool case_sensitive = arguments.Flag("case_sensitive", false);
  const SortKey key(case_sensitive, arguments.Take("attribute"));
  arguments.Done();
  const std::vector<Value> items = Iterate(subject);
  if (items.empty()) return Value::MakeUndefined("No aggregated item, sequence was empty.");
  interpreter.budget().Charge(items.size());
  size_t best = 0;
  Value best_key = key.Of(interpreter, items[0]);
  for (size_t i = 1; i < items.size(); ++i) {
    Value candidate = key.Of(interpreter, items[i]);
    if (largest ? Less(best_key, candidate) : Less(candidate, best_key)) {
      best = i;
      best_key = std::move(candidate);
    }
  }
  return items[best];
}

Value SumFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  const AttributePath path(arguments.Take("attribute"));
  const Value* start = arguments.Take("start");
  arguments.Done();
  Value total = start == nullptr ? Value::MakeInteger(0) : *start;
  if (total.text() != nullptr) Fail("sum doesn't take strings; use join");
  for (const Value& item : Iterate(subject)) {
    interpreter.budget().Charge(1);
    total = ApplyBinary("+", total, path.Read(interpreter, item), &interpreter.budget());
  }
  return total;
}

}  // namespace

FilterTable OrderFilters() {
  static constexpr std::pair<std::string_view, Filter> kTable[] = {
      {"dictsort", DictSortFilter}, {"max", ExtremeFilter<true>}, {"min", ExtremeFilter<false>},
      {"sort", SortFilter},         {"sum", SumFilter},           {"unique", UniqueFilter},
  };
  return kTable;
}

}  // namespace tanren::text::jinja
