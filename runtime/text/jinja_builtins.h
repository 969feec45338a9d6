// What templates may call: filters, tests, methods of values, global functions.
#ifndef TANREN_RUNTIME_TEXT_JINJA_BUILTINS_H_
#define TANREN_RUNTIME_TEXT_JINJA_BUILTINS_H_

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/text/jinja_value.h"

namespace tanren::text::jinja {

// Hands a call's arguments to parameters in order, by position or by name.
class ArgumentReader {
 public:
  ArgumentReader(std::string_view callee, Arguments* arguments)
      : callee_(callee), arguments_(arguments), taken_(arguments->named.size(), false) {}

  // The next parameter's argument; null if it wasn't given.
  const Value* Take(std::string_view name);
  const Value& Need(std::string_view name);
  // The readers below fail on another kind of value.
  int64_t Integer(std::string_view name, int64_t fallback);
  bool Flag(std::string_view name, bool fallback);  // any kind: its truth
  const Text* OptionalText(std::string_view name);  // null for None too
  const Text& NeedText(std::string_view name);
  // The arguments that no Take has asked for, for callees that pass them on.
  Arguments Rest();
  // Fails if an argument is left. Every callee ends its reading with this or with Rest.
  void Done() const;

 private:
  std::string_view callee_;
  Arguments* arguments_;
  std::vector<bool> taken_;
  size_t position_ = 0;
};

using Filter = Value (*)(Interpreter&, const Value& subject, ArgumentReader&);
using Test = bool (*)(Interpreter&, const Value& subject, ArgumentReader&);
using FilterTable = std::span<const std::pair<std::string_view, Filter>>;

// Null if there is none of that name.
Filter FindFilter(std::string_view name);
Test FindTest(std::string_view name);
// The parts of FindFilter's table.
FilterTable TextFilters();
FilterTable NumberFilters();
FilterTable SequenceFilters();
FilterTable OrderFilters();

// object.name as a function bound to the object, or an element of a loop; undefined if there is
// none. The value of a method that would change its object fails when it is called.
Value FindMethod(const Value& object, const std::string& name);
Value FindTextMethod(const Value& text, const std::string& name);
Value LoopAttribute(const Value& loop, const std::string& name);

// range, dict, namespace, raise_exception, strftime_now.
std::vector<std::pair<std::string, Value>> GlobalFunctions();

// How json.dumps writes a value, as transformers' tojson calls it.
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool indented = false;
  std::string indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
TrackedText DumpJson(const Value& value, const JsonStyle& style, Interpreter* interpreter);

}  // namespace tanren::text::jinja

#endif  // TANREN_RUNTIME_TEXT_JINJA_BUILTINS_H_
