// The table of filters, and those on strings.
#include <unordered_map>

#include "runtime/text/jinja_error.h"
#include "runtime/text/jinja_interpreter.h"
#include "runtime/text/jinja_operators.h"
#include "runtime/text/python_text.h"

namespace tanren::text::jinja {

namespace {

template <LetterCase letter_case>
Value CaseFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  arguments.Done();
  return interpreter.MakeText(ToCase(ToText(subject), letter_case));
}

Value TrimFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  const Text* characters = arguments.OptionalText("chars");
  arguments.Done();
  std::optional<std::string_view> set;
  if (characters != nullptr) set = characters->text.bytes();
  return interpreter.MakeText(Strip(ToText(subject), StripSides::kBoth, set));
}

Value ReplaceFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  // The filter takes any value as its text; the method str.replace doesn't.
  Arguments texts;
  texts.positional.push_back(Value::MakeText(ToText(arguments.Need("old"))));
  texts.positional.push_back(Value::MakeText(ToText(arguments.Need("new"))));
  const Value* count = arguments.Take("count");
  arguments.Done();
  if (count != nullptr && !count->IsNone()) texts.positional.push_back(*count);
  const Value method = FindTextMethod(Value::MakeText(ToText(subject)), "replace");
  return interpreter.Call(method, std::move(texts));
}

Value StringFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  arguments.Done();
  const bool markup = subject.text() != nullptr && subject.text()->markup;
  return interpreter.MakeText(ToText(subject), markup);
}

Value SafeFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  arguments.Done();
  return interpreter.MakeText(ToText(subject), /*markup=*/true);
}

Value EscapeFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  arguments.Done();
  if (subject.text() != nullptr && subject.text()->markup) return subject;
  return interpreter.MakeText(EscapeHtml(ToText(subject)), /*markup=*/true);
}

Value FormatFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  Arguments rest = arguments.Rest();
  if (!rest.named.empty()) Unsupported("named values of the filter format");
  return FormatPercent(ToText(subject),
                       MakeSequence(std::move(rest.positional), Sequence::Form::kTuple),
                       &interpreter.budget());
}

Value IndentFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  const Value* width = arguments.Take("width");
  const bool first = arguments.Flag("first", false);
  const bool blank = arguments.Flag("blank", false);
  arguments.Done();
  TrackedText indent("    ");
  if (width != nullptr && width->text() != nullptr) {
    indent = width->text()->text;
  } else if (width != nullptr && width->AsInteger()) {
    const int64_t spaces = std::max<int64_t>(0, *width->AsInteger());
    interpreter.budget().ChargeText(static_cast<size_t>(spaces));
    indent = TrackedText(std::string(static_cast<size_t>(spaces), ' '));
  } else if (width != nullptr) {
    Fail("indent: 'width' is an integer or a string, found '{}'", TypeName(*width));
  }
  if (subject.text() == nullptr) Fail("indent takes a string, found '{}'", TypeName(subject));
  TrackedText text = ToText(subject);
  text.Append("\n");  // so that a last empty line counts, as in Jinja
  const std::vector<TrackedText> lines = SplitLines(text, false);
  interpreter.budget().ChargeTexts(lines.size(), indent.size() + 1);
  TrackedText result;
  if (first) result.Append(indent);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) result.Append("\n");
    if (i > 0 && (blank || !lines[i].empty())) result.Append(indent);
    result.Append(lines[i]);
  }
  return interpreter.MakeText(std::move(result));
}

JsonStyle ReadJsonStyle(Interpreter& interpreter, ArgumentReader& arguments) {
  JsonStyle style;
  style.ensure_ascii = arguments.Flag("ensure_ascii", false);
  const Value* indent = arguments.Take("indent");
  const Value* separators = arguments.Take("separators");
  style.sort_keys = arguments.Flag("sort_keys", false);
  arguments.Done();
  if (indent != nullptr && !indent->IsNone()) {
    style.indented = true;
    style.item_separator = ",";
    if (indent->text() != nullptr) {
      style.indent = indent->bytes();
    } else if (indent->AsInteger()) {
      const int64_t spaces = std::max<int64_t>(0, *indent->AsInteger());
      interpreter.budget().ChargeText(static_cast<size_t>(spaces));
      style.indent.assign(static_cast<size_t>(spaces), ' ');
    } else {
      Fail("tojson: 'indent' is an integer or a string, found '{}'", TypeName(*indent));
    }
  }
  if (separators != nullptr && !separators->IsNone()) {
    const std::vector<Value> pair = Iterate(*separators);
    if (pair.size() != 2 || !pair[0].text() || !pair[1].text()) {
      Fail("tojson: 'separators' is a pair of strings");
    }
    style.item_separator = pair[0].bytes();
    style.key_separator = pair[1].bytes();
  }
  return style;
}

Value ToJsonFilter(Interpreter& interpreter, const Value& subject, ArgumentReader& arguments) {
  const JsonStyle style = ReadJsonStyle(interpreter, arguments);
  return interpreter.MakeText(DumpJson(subject, style, &interpreter));
}

Value DefaultFilter(Interpreter&, const Value& subject, ArgumentReader& arguments) {
  const Value* fallback = arguments.Take("default_value");
  const bool boolean = arguments.Flag("boolean", false);
  arguments.Done();
  if (!subject.IsUndefined() && !(boolean && !IsTrue(subject))) return subject;
  return fallback == nullptr ? Value::MakeText("") : *fallback;
}

}  // namespace

FilterTable TextFilters() {
  static constexpr std::pair<std::string_view, Filter> kTable[] = {
      {"capitalize", CaseFilter<LetterCase::kCapitalized>},
      {"d", DefaultFilter},
      {"default", DefaultFilter},
      {"e", EscapeFilter},
      {"escape", EscapeFilter},
      {"format", FormatFilter},
      {"indent", IndentFilter},
      {"lower", CaseFilter<LetterCase::kLower>},
      {"replace", ReplaceFilter},
      {"safe", SafeFilter},
      {"string", StringFilter},
      {"title", CaseFilter<LetterCase::kTitleFilter>},
      {"tojson", ToJsonFilter},
      {"trim", TrimFilter},
      {"upper", CaseFilter<LetterCase::kUpper>},
  };
  return kTable;
}

Filter FindFilter(std::string_view name) {
  static const auto* const kFilters = [] {
    auto* filters = new std::unordered_map<std::string_view, Filter>;
    for (const FilterTable table :
         {TextFilters(), NumberFilters(), SequenceFilters(), OrderFilters()}) {
      filters->insert(table.begin(), table.end());
    }
    return filters;
  }();
  const auto found = kFilters->find(name);
  return found == kFilters->end() ? nullptr : found->second;
}

}  // namespace tanren::text::jinja
