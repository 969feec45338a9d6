// The values of a chat template: Python's, as far as templates use them. Values are immutable,
// except namespaces, so that sharing is safe and no template can change a conversation.
#ifndef TANREN_RUNTIME_TEXT_JINJA_VALUE_H_
#define TANREN_RUNTIME_TEXT_JINJA_VALUE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/text/tracked_text.h"

namespace tanren::text::jinja {

class Interpreter;
struct Sequence;
struct Dict;
struct Namespace;
struct LoopState;
struct Function;

// A name, attribute or element that isn't there. Printing it writes nothing; using it is an error,
// which says `reason`.
struct Undefined {
  std::shared_ptr<const std::string> reason;
};
struct None {};

// A string. `markup` is set by the filters safe and escape: `+` then escapes its other side.
struct Text {
  TrackedText text;
  bool markup = false;
};

class Value {
 public:
  using Data = std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const Text>,
                            std::shared_ptr<const Sequence>, std::shared_ptr<const Dict>,
                            std::shared_ptr<Namespace>, std::shared_ptr<LoopState>,
                            std::shared_ptr<const Function>>;

  Value() = default;  // undefined
  explicit Value(Data data, int origin = -1) : data_(std::move(data)), origin_(origin) {}
  static Value MakeUndefined(std::string reason);
  static Value MakeNone() { return Value(Data(None{})); }
  static Value MakeBool(bool value) { return Value(Data(value)); }
  static Value MakeInteger(int64_t value) { return Value(Data(value)); }
  static Value MakeFloat(double value) { return Value(Data(value)); }
  static Value MakeText(TrackedText text, bool markup = false);
  static Value MakeText(std::string_view text) { return MakeText(TrackedText(text)); }
  static Value MakeFunction(std::string name,
                            std::function<Value(Interpreter&, struct Arguments&)> call);

  bool IsUndefined() const { return std::holds_alternative<Undefined>(data_); }
  bool IsNone() const { return std::holds_alternative<None>(data_); }
  bool IsBool() const { return std::holds_alternative<bool>(data_); }
  // An int, but not True or False.
  bool IsInteger() const { return std::holds_alternative<int64_t>(data_); }
  bool IsFloat() const { return std::holds_alternative<double>(data_); }
  // What arithmetic takes: in Python, True is 1.
  bool IsNumber() const { return IsBool() || IsInteger() || IsFloat(); }

  // Null where the value is of another kind.
  const Text* text() const { return Held<const Text>(); }
  const Sequence* sequence() const { return Held<const Sequence>(); }
  const Dict* dict() const { return Held<const Dict>(); }
  Namespace* name_space() const { return Held<Namespace>(); }
  LoopState* loop() const { return Held<LoopState>(); }
  const Function* function() const { return Held<const Function>(); }

  // The bytes of a string, which the value must be.
  std::string_view bytes() const { return text()->text.bytes(); }
  std::string undefined_reason() const;
  // True and False count as 1 and 0.
  std::optional<int64_t> AsInteger() const;
  // For numbers only.
  double AsDouble() const;

  const Data& data() const { return data_; }
  // The index of the Origin that the whole value is; -1: none. Strings track theirs by byte.
  int origin() const { return origin_; }

 private:
  template <typename T>
  T* Held() const {
    const auto* held = std::get_if<std::shared_ptr<T>>(&data_);
    return held == nullptr ? nullptr : held->get();
  }

  Data data_;
  int origin_ = -1;
};

// How deep containers may nest.
constexpr int kMaxNesting = 100;

// A list, or what stands for one.
struct Sequence {
  enum class Form { kList, kTuple, kRange, kView, kGenerator };
  Form form = Form::kList;
  std::vector<Value> items;
  int depth = 1;
  std::string name;               // what Python prints before a view's or a range's parentheses
  mutable bool consumed = false;  // generators are read once
};

struct Dict {
  // Null if the key isn't there.
  const Value* Find(const Value& key) const;
  const Value* Find(const std::string& key) const;
  // Replaces the value of an equal key in its place. Throws if the key can't be hashed in Python.
  void Set(Value key, Value value);

  std::vector<std::pair<Value, Value>> entries;
  int depth = 1;

 private:
  std::unordered_map<std::string, size_t> text_keys_;
};

struct Namespace {
  Dict attributes;
};

struct LoopState {
  std::vector<Value> items;
  size_t index = 0;
  std::optional<Value> changed;  // what loop.changed last saw
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct Function {
  std::string name;
  std::function<Value(Interpreter&, Arguments&)> call;
};

// Throw if a value can't be held in a container or the result nests too deep.
Value MakeSequence(std::vector<Value> items, Sequence::Form form = Sequence::Form::kList,
                   int origin = -1, std::string name = {});
Value MakeDict(Dict dict, int origin = -1);

// "str", "dict", "NoneType", ...: Python's name of the kind, for messages.
std::string_view TypeName(const Value& value);
bool IsTrue(const Value& value);
// Python's ==. Numbers compare across kinds.
bool Equal(const Value& left, const Value& right);
// Python's <; throws for kinds without an order.
bool Less(const Value& left, const Value& right);

// What Python's str() and repr() write. Bytes from messages stay tracked.
TrackedText ToText(const Value& value);
TrackedText ToRepr(const Value& value);
// Python's repr of a float: the shortest digits that read back the same.
std::string FloatRepr(double value);

// The items that a for statement would visit: elements, keys, characters. Throws if there are none
// to visit ("'int' object is not iterable"). A generator is used up.
std::vector<Value> Iterate(const Value& value);

}  // namespace tanren::text::jinja

#endif  // TANREN_RUNTIME_TEXT_JINJA_VALUE_H_
