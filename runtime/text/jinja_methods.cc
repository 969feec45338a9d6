// Methods of dicts, lists and loops.
#include <algorithm>
#include <array>

#include "runtime/text/jinja_error.h"
#include "runtime/text/jinja_interpreter.h"

namespace tanren::text::jinja {

namespace {

using Method = Value (*)(Interpreter&, const Value& self, ArgumentReader&);

Value Bind(const Value& self, const std::string& name, Method method) {
  return Value::MakeFunction(name,
                             [self, name, method](Interpreter& interpreter, Arguments& arguments) {
                               ArgumentReader reader(name, &arguments);
                               return method(interpreter, self, reader);
                             });
}

Value DictItems(Interpreter& interpreter, const Value& self, ArgumentReader& arguments) {
  arguments.Done();
  std::vector<Value> pairs;
  interpreter.budget().Charge(2 * self.dict()->entries.size());
  for (const auto& [key, value] : self.dict()->entries) {
    pairs.push_back(MakeSequence({key, value}, Sequence::Form::kTuple, self.origin()));
  }
  return MakeSequence(std::move(pairs), Sequence::Form::kView, self.origin(), "dict_items");
}

Value DictKeys(Interpreter& interpreter, const Value& self, ArgumentReader& arguments) {
  arguments.Done();
  std::vector<Value> keys = Iterate(self);
  interpreter.budget().Charge(keys.size());
  return MakeSequence(std::move(keys), Sequence::Form::kView, self.origin(), "dict_keys");
}

Value DictValues(Interpreter& interpreter, const Value& self, ArgumentReader& arguments) {
  arguments.Done();
  std::vector<Value> values;
  interpreter.budget().Charge(self.dict()->entries.size());
  for (const auto& entry : self.dict()->entries) values.push_back(entry.second);
  return MakeSequence(std::move(values), Sequence::Form::kView, self.origin(), "dict_values");
}

Value DictGet(Interpreter&, const Value& self, ArgumentReader& arguments) {
  const Value& key = arguments.Need("key");
  const Value* fallback = arguments.Take("default");
  arguments.Done();
  if (key.sequence() != nullptr || key.dict() != nullptr) {
    Fail("get: unhashable type: '{}'", TypeName(key));
  }
  if (const Value* found = self.dict()->Find(key)) return *found;
  return fallback == nullptr ? Value::MakeNone() : *fallback;
}

Value Copy(Interpreter&, const Value& self, ArgumentReader& arguments) {
  arguments.Done();
  return self;  // values never change
}

Value SequenceIndex(Interpreter& interpreter, const Value& self, ArgumentReader& arguments) {
  const Value& wanted = arguments.Need("value");
  arguments.Done();
  const std::vector<Value>& items = self.sequence()->items;
  interpreter.budget().Charge(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    if (Equal(items[i], wanted)) return Value::MakeInteger(static_cast<int64_t>(i));
  }
  Fail("index: {} is not in the list", ToRepr(wanted).bytes());
}

Value SequenceCount(Interpreter& interpreter, const Value& self, ArgumentReader& arguments) {
  const Value& wanted = arguments.Need("value");
  arguments.Done();
  const std::vector<Value>& items = self.sequence()->items;
  interpreter.budget().Charge(items.size());
  return Value::MakeInteger(std::count_if(items.begin(), items.end(),
                                          [&](const Value& item) { return Equal(item, wanted); }));
}

Value LoopCycle(Interpreter&, const Value& self, ArgumentReader& arguments) {
  const Arguments values = arguments.Rest();
  if (values.positional.empty()) Fail("cycle: there is nothing to cycle through");
  return values.positional[self.loop()->index % values.positional.size()];
}

Value LoopChanged(Interpreter&, const Value& self, ArgumentReader& arguments) {
  const Value now = MakeSequence(arguments.Rest().positional, Sequence::Form::kTuple);
  LoopState* loop = self.loop();
  const bool changed = !loop->changed.has_value() || !Equal(*loop->changed, now);
  if (changed) loop->changed = now;
  return Value::MakeBool(changed);
}

// transformers renders in Jinja's immutable sandbox, where these fail as well.
Value Forbidden(const Value& self, const std::string& name) {
  const std::string method = fmt::format("{}.{}", TypeName(self), name);
  return Value::MakeFunction(name, [method](Interpreter&, Arguments&) -> Value {
    Unsupported("{} would change its object; templates can't (use set with a new value)", method);
  });
}

template <size_t size>
bool IsAmong(const std::array<std::string_view, size>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Value FindDictMethod(const Value& dict, const std::string& name) {
  static constexpr std::array<std::string_view, 5> kChanging = {"clear", "pop", "popitem",
                                                                "setdefault", "update"};
  if (name == "items") return Bind(dict, name, DictItems);
  if (name == "keys") return Bind(dict, name, DictKeys);
  if (name == "values") return Bind(dict, name, DictValues);
  if (name == "get") return Bind(dict, name, DictGet);
  if (name == "copy") return Bind(dict, name, Copy);
  return IsAmong(kChanging, name) ? Forbidden(dict, name) : Value();
}

Value FindSequenceMethod(const Value& list, const std::string& name) {
  static constexpr std::array<std::string_view, 8> kChanging = {
      "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"};
  const Sequence::Form form = list.sequence()->form;
  if (form == Sequence::Form::kGenerator || form == Sequence::Form::kView) return Value();
  if (name == "index") return Bind(list, name, SequenceIndex);
  if (name == "count") return Bind(list, name, SequenceCount);
  if (form != Sequence::Form::kList) return Value();
  if (name == "copy") return Bind(list, name, Copy);
  return IsAmong(kChanging, name) ? Forbidden(list, name) : Value();
}

}  // namespace

Value LoopAttribute(const Value& value, const std::string& name) {
  const LoopState& loop = *value.loop();
  const auto index = static_cast<int64_t>(loop.index);
  const auto length = static_cast<int64_t>(loop.items.size());
  if (name == "index") return Value::MakeInteger(index + 1);
  if (name == "index0") return Value::MakeInteger(index);
  if (name == "revindex") return Value::MakeInteger(length - index);
  if (name == "revindex0") return Value::MakeInteger(length - index - 1);
  if (name == "first") return Value::MakeBool(index == 0);
  if (name == "last") return Value::MakeBool(index + 1 >= length);
  if (name == "length") return Value::MakeInteger(length);
  if (name == "depth") return Value::MakeInteger(1);
  if (name == "depth0") return Value::MakeInteger(0);
  if (name == "cycle") return Bind(value, name, LoopCycle);
  if (name == "changed") return Bind(value, name, LoopChanged);
  if (name == "previtem") {
    return index > 0 ? loop.items[loop.index - 1]
                     : Value::MakeUndefined("there is no previous item");
  }
  if (name == "nextitem") {
    return index + 1 < length ? loop.items[loop.index + 1]
                              : Value::MakeUndefined("there is no next item");
  }
  return Value();
}

Value FindMethod(const Value& object, const std::string& name) {
  if (object.text() != nullptr) return FindTextMethod(object, name);
  if (object.dict() != nullptr) return FindDictMethod(object, name);
  if (object.sequence() != nullptr) return FindSequenceMethod(object, name);
  if (object.loop() != nullptr) return LoopAttribute(object, name);
  return Value();
}

}  // namespace tanren::text::jinja
