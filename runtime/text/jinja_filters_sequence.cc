// Filters that walk over sequences.
#include <algorithm>

#include "runtime/text/jinja_attribute_path.h"
#include "runtime/text/jinja_error.h"
#include "runtime/text/jinja_interpreter.h"
#include "runtime/text/python_text.h"

namespace tanren::text::jinja {

namespace {

std::vector<Value> IterateCharged(Interpreter& interpreter, const Value& value) {
  std::vector<Value> items = Iterate(value);
  interpreter.budget().Charge(items.size());
  return items;
}

Value Generator(std::vector<Value> items) {
  return MakeSequence(std::move(items), Sequence::Form::kGenerator);
}

Value FirstFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  arguments.Done();
  const std::vector<Value> items = IterateCharged(interpreter, subject);
  return items.empty() ? Value::MakeUndefined("No first item, sequence was empty.") : items.front();
}

Value LastFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  arguments.Done();
  if (subject.sequence() != nullptr && subject.sequence()->form == Sequence::Form::kGenerator) {
    Fail("last doesn't take a generator; put | list before it");
  }
  const std::vector<Value> items = IterateCharged(interpreter, subject);
  return items.empty() ? Value::MakeUndefined("No last item, sequence was empty.") : items.back();
}

Value ListFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  arguments.Done();
  return MakeSequence(IterateCharged(interpreter, subject));
}

Value ReverseFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  arguments.Done();
  std::vector<Value> items = IterateCharged(interpreter, subject);
  std::reverse(items.begin(), items.end());
  if (subject.text() == nullptr) {
    // What Python can't walk backwards, Jinja copies into a list.
    const bool copied =
        subject.sequence() && subject.sequence()->form == Sequence::Form::kGenerator;
    return MakeSequence(std::move(items),
                        copied ? Sequence::Form::kList : Sequence::Form::kGenerator);
  }
  TrackedText reversed;
  for (const Value& item : items) reversed.Append(item.text()->text);
  return interpreter.MakeText(std::move(reversed));
}

Value JoinFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  const Value* separator = arguments.Take("d");
  const Value* attribute = arguments.Take("attribute");
  arguments.Done();
  const TrackedText between = separator == nullptr ? TrackedText() : ToText(*separator);
  const AttributePath path(attribute);
  TrackedText joined;
  bool first = true;
  for (const Value& item : IterateCharged(interpreter, subject)) {
    const TrackedText part = ToText(path.Read(interpreter, item));
    interpreter.budget().ChargeText(part.size() + between.size());
    interpreter.budget().Charge(part.spans().size());
    interpreter.budget().CheckText(joined.size() + part.size() + between.size());
    if (!first) joined.Append(between);
    joined.Append(part);
    first = false;
  }
  return interpreter.MakeText(std::move(joined));
}

Value ItemsFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  arguments.Done();
  if (subject.IsUndefined()) return Generator({});
  if (subject.dict() == nullptr) Fail("items takes a mapping, found '{}'", TypeName(subject));
  std::vector<Value> pairs;
  interpreter.budget().Charge(subject.dict()->entries.size());
  for (const auto& [key, value] : subject.dict()->entries) {
    pairs.push_back(MakeSequence({key, value}, Sequence::Form::kTuple));
  }
  return Generator(std::move(pairs));
}

// map(attribute='a.b', default=...) or map('filter', arguments...).
Value MapFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  Arguments rest = arguments.Rest();
  if (!IsTrue(subject)) return Generator({});  // as in Jinja, whatever it is
  std::vector<Value> mapped;
  if (rest.positional.empty()) {
    ArgumentReader named("map", &rest);
    const AttributePath path(&named.Need("attribute"), named.Take("default"));
    named.Done();
    for (const Value& item : IterateCharged(interpreter, subject)) {
      mapped.push_back(path.Read(interpreter, item));
    }
    return Generator(std::move(mapped));
  }
  if (rest.positional[0].text() == nullptr) Fail("map takes the name of a filter");
  const std::string name(rest.positional[0].bytes());
  rest.positional.erase(rest.positional.begin());
  for (const Value& item : IterateCharged(interpreter, subject)) {
    mapped.push_back(interpreter.ApplyFilter(name, item, rest));
  }
  return Generator(std::move(mapped));
}

template <bool wanted, bool by_attribute>
Value SelectFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  Arguments rest = arguments.Rest();
  if (!IsTrue(subject)) return Generator({});  // as in Jinja, whatever it is
  Value attribute;
  if (by_attribute) {
    if (rest.positional.empty()) Fail("selectattr and rejectattr take the name of an attribute");
    attribute = rest.positional[0];
    rest.positional.erase(rest.positional.begin());
  }
  std::string test;
  if (!rest.positional.empty()) {
    if (rest.positional[0].text() == nullptr) Fail("a filter takes the name of a test");
    test = rest.positional[0].bytes();
    rest.positional.erase(rest.positional.begin());
  }
  const AttributePath path(by_attribute ? &attribute : nullptr);
  std::vector<Value> kept;
  for (const Value& item : IterateCharged(interpreter, subject)) {
    const Value tested = path.Read(interpreter, item);
    const bool holds = test.empty() ? IsTrue(tested) : interpreter.ApplyTest(test, tested, rest);
    if (holds == wanted) kept.push_back(item);
  }
  return Generator(std::move(kept));
}

}  // namespace

FilterTable SequenceFilters() {
  static constexpr std::pair<std::string_view, Filter> kTable[] = {
      {"first", FirstFilter},
      {"items", ItemsFilter},
      {"join", JoinFilter},
      {"last", LastFilter},
      {"list", ListFilter},
      {"map", MapFilter},
      {"reject", SelectFilter<false, false>},
      {"rejectattr", SelectFilter<false, true>},
      {"reverse", ReverseFilter},
      {"select", SelectFilter<true, false>},
      {"selectattr", SelectFilter<true, true>},
  };
  return kTable;
}

}  // namespace tanren::text::jinja
