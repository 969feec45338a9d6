// Functions that every template sees.
#include <ctime>

#include "runtime/text/jinja_error.h"
#include "runtime/text/jinja_interpreter.h"

namespace tanren::text::jinja {

namespace {

Value RaiseException(Interpreter&, Arguments& arguments) {
  ArgumentReader reader("raise_exception", &arguments);
  const Value message = reader.Need("message");
  reader.Done();
  Fail("the template refuses this conversation: {}", ToText(message).bytes());
}

std::tm BrokenDown(std::chrono::local_seconds now) {
  const auto day = std::chrono::floor<std::chrono::days>(now);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(now - day);
  std::tm broken{};
  broken.tm_year = static_cast<int>(date.year()) - 1900;
  broken.tm_mon = static_cast<int>(static_cast<unsigned>(date.month())) - 1;
  broken.tm_mday = static_cast<int>(static_cast<unsigned>(date.day()));
  broken.tm_hour = static_cast<int>(time.hours().count());
  broken.tm_min = static_cast<int>(time.minutes().count());
  broken.tm_sec = static_cast<int>(time.seconds().count());
  broken.tm_wday = static_cast<int>(std::chrono::weekday(day).c_encoding());
  const auto new_year = std::chrono::local_days(date.year() / std::chrono::January / 1);
  broken.tm_yday = static_cast<int>((day - new_year).count());
  return broken;
}

Value StrftimeNow(Interpreter& interpreter, Arguments& arguments) {
  ArgumentReader reader("strftime_now", &arguments);
  const std::string format(reader.NeedText("format").text.bytes());
  reader.Done();
  if (!interpreter.now().has_value()) {
    Fail("the template asks for the date (strftime_now), and none was given");
  }
  const std::tm now = BrokenDown(*interpreter.now());
  std::string text;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      text += format[i];
      continue;
    }
    std::string directive = "%";
    if (i + 1 < format.size() && format[i + 1] == '-') directive += format[++i];
    if (++i >= format.size()) Fail("strftime_now: the format ends in %");
    directive += format[i];
    // Time zones and locales have no place in a deterministic rendering.
    if (std::string_view("aAbBdeHIjmMpSuUVwWyYFTDRnt%hCGgklcxXr").find(format[i]) ==
        std::string_view::npos) {
      Unsupported("'{}' in strftime_now", directive);
    }
    char buffer[64];
    text.append(buffer, std::strftime(buffer, sizeof(buffer), directive.c_str(), &now));
  }
  return interpreter.MakeText(TrackedText(text));
}

Value Range(Interpreter& interpreter, Arguments& arguments) {
  ArgumentReader reader("range", &arguments);
  const size_t given = arguments.positional.size();
  int64_t begin = reader.Integer("start", 0), end = reader.Integer("stop", 0);
  const int64_t step = reader.Integer("step", 1);
  reader.Done();
  if (given == 0) Fail("range takes 1 to 3 integers");
  if (given == 1) std::swap(begin, end);
  if (step == 0) Fail("range: the step can't be zero");
  std::string name = fmt::format("range({}, {}", begin, end);
  name += step == 1 ? ")" : fmt::format(", {})", step);
  std::vector<Value> items;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (items.size() >= 100'000) OverLimit("range has more than 100000 items");
    interpreter.budget().Charge(1);
    items.push_back(Value::MakeInteger(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return MakeSequence(std::move(items), Sequence::Form::kRange, -1, std::move(name));
}

// What dict and namespace share: an optional mapping or pairs, then names.
Dict BuildDict(Interpreter& interpreter, std::string_view callee, const Arguments& arguments) {
  Dict dict;
  if (arguments.positional.size() > 1) {
    Fail("{} takes at most one argument without a name", callee);
  }
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    interpreter.budget().Charge(1);
    if (source.dict() != nullptr) {
      interpreter.budget().Charge(source.dict()->entries.size());
      dict = *source.dict();
    } else {
      for (const Value& item : Iterate(source)) {
        interpreter.budget().Charge(1);
        const std::vector<Value> pair = Iterate(item);
        if (pair.size() != 2) Fail("{}: pairs of a key and a value are expected", callee);
        dict.Set(pair[0], pair[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) dict.Set(Value::MakeText(name), value);
  return dict;
}

Value MakeDictFunction(Interpreter& interpreter, Arguments& arguments) {
  return MakeDict(BuildDict(interpreter, "dict", arguments));
}

Value MakeNamespace(Interpreter& interpreter, Arguments& arguments) {
  Dict attributes = BuildDict(interpreter, "namespace", arguments);
  for (const auto& [name, value] : attributes.entries) {
    if (name.text() == nullptr) Fail("namespace: attributes have names");
    if (!name.bytes().empty() && name.bytes()[0] == '_') {
      Fail("attribute '{}' is not for templates", name.bytes());
    }
    if (value.name_space() != nullptr || value.loop() != nullptr) {
      Unsupported("a {} inside a namespace", TypeName(value));
    }
  }
  return Value(Value::Data(std::make_shared<Namespace>(Namespace{std::move(attributes)})));
}

Value Cycler(Interpreter&, Arguments&) { Unsupported("function 'cycler'"); }
Value Joiner(Interpreter&, Arguments&) { Unsupported("function 'joiner'"); }
Value Lipsum(Interpreter&, Arguments&) { Unsupported("function 'lipsum'"); }

}  // namespace

std::vector<std::pair<std::string, Value>> GlobalFunctions() {
  std::vector<std::pair<std::string, Value>> globals;
  const auto add = [&](const std::string& name, Value (*function)(Interpreter&, Arguments&)) {
    globals.emplace_back(name, Value::MakeFunction(name, function));
  };
  add("range", Range);
  add("dict", MakeDictFunction);
  add("namespace", MakeNamespace);
  add("raise_exception", RaiseException);
  add("strftime_now", StrftimeNow);
  // Jinja's others, so that they are not taken for names that are undefined.
  add("cycler", Cycler);
  add("joiner", Joiner);
  add("lipsum", Lipsum);
  return globals;
}

}  // namespace tanren::text::jinja
