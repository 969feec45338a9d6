// Methods of strings.
#include <algorithm>
#include <unordered_map>

#include "runtime/text/jinja_error.h"
#include "runtime/text/jinja_interpreter.h"
#include "runtime/text/python_text.h"

namespace tanren::text::jinja {

namespace {

using Method = Value (*)(Interpreter&, const TrackedText& self, ArgumentReader&);

Value List(Interpreter& interpreter, std::vector<TrackedText> parts) {
  std::vector<Value> items;
  interpreter.budget().Charge(parts.size());
  for (TrackedText& part : parts) items.push_back(interpreter.MakeText(std::move(part)));
  return MakeSequence(std::move(items));
}

template <StripSides sides>
Value StripMethod(Interpreter& interpreter, const TrackedText& self, ArgumentReader& arguments) {
  const Text* characters = arguments.OptionalText("chars");
  arguments.Done();
  std::optional<std::string_view> set;
  if (characters != nullptr) set = characters->text.bytes();
  return interpreter.MakeText(Strip(self, sides, set));
}

template <bool from_right>
Value SplitMethod(Interpreter& interpreter, const TrackedText& self, ArgumentReader& arguments) {
  const Text* separator = arguments.OptionalText("sep");
  const int64_t limit = arguments.Integer("maxsplit", -1);
  arguments.Done();
  std::optional<std::string_view> cut;
  if (separator != nullptr) {
    if (separator->text.empty()) Fail("split: the separator is empty");
    cut = separator->text.bytes();
  }
  interpreter.budget().ChargeText(self.size());
  const int64_t cuts = limit < 0 ? kNoLimit : limit;
  return List(interpreter, from_right ? SplitFromRight(self, cut, cuts) : Split(self, cut, cuts));
}

Value SplitLinesMethod(Interpreter& interpreter, const TrackedText& self,
                       ArgumentReader& arguments) {
  const bool keep_ends = arguments.Flag("keepends", false);
  arguments.Done();
  return List(interpreter, SplitLines(self, keep_ends));
}

template <bool from_right>
Value PartitionMethod(Interpreter& interpreter, const TrackedText& self,
                      ArgumentReader& arguments) {
  const std::string_view separator = arguments.NeedText("sep").text.bytes();
  arguments.Done();
  if (separator.empty()) Fail("partition: the separator is empty");
  const size_t found = from_right ? self.bytes().rfind(separator) : self.bytes().find(separator);
  const bool absent = found == std::string_view::npos;
  // Without the separator the whole is the first part, or from the right the last.
  const size_t begin = absent ? (from_right ? 0 : self.size()) : found;
  const size_t end = absent ? begin : found + separator.size();
  std::vector<Value> parts = {interpreter.MakeText(self.Slice(0, begin)),
                              interpreter.MakeText(self.Slice(begin, end)),
                              interpreter.MakeText(self.Slice(end, self.size()))};
  return MakeSequence(std::move(parts), Sequence::Form::kTuple);
}

template <bool at_end>
bool Affixed(std::string_view text, const Value& affix) {
  if (const Sequence* several = affix.sequence();
      several != nullptr && several->form == Sequence::Form::kTuple) {
    return std::any_of(several->items.begin(), several->items.end(),
                       [&](const Value& one) { return Affixed<at_end>(text, one); });
  }
  if (affix.text() == nullptr) {
    Fail("startswith and endswith take a string or a tuple of them, found '{}'", TypeName(affix));
  }
  const std::string_view bytes = affix.bytes();
  if (bytes.size() > text.size()) return false;
  return text.substr(at_end ? text.size() - bytes.size() : 0, bytes.size()) == bytes;
}

template <bool at_end>
Value AffixMethod(Interpreter&, const TrackedText& self, ArgumentReader& arguments) {
  const Value& affix = arguments.Need(at_end ? "suffix" : "prefix");
  arguments.Done();
  return Value::MakeBool(Affixed<at_end>(self.bytes(), affix));
}

template <bool at_end>
Value RemoveAffixMethod(Interpreter& interpreter, const TrackedText& self,
                        ArgumentReader& arguments) {
  const Value affix = Value::MakeText(arguments.NeedText("affix").text);
  arguments.Done();
  if (!Affixed<at_end>(self.bytes(), affix)) return interpreter.MakeText(self);
  const size_t cut = affix.bytes().size();
  return interpreter.MakeText(at_end ? self.Slice(0, self.size() - cut)
                                     : self.Slice(cut, self.size()));
}

template <LetterCase letter_case>
Value CaseMethod(Interpreter& interpreter, const TrackedText& self, ArgumentReader& arguments) {
  arguments.Done();
  return interpreter.MakeText(ToCase(self, letter_case));
}

template <CharacterClass wanted>
Value ClassMethod(Interpreter&, const TrackedText& self, ArgumentReader& arguments) {
  arguments.Done();
  return Value::MakeBool(IsAll(self.bytes(), wanted));
}

size_t CountOf(std::string_view text, std::string_view part) {
  if (part.empty()) return CountCodePoints(text) + 1;
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

Value ReplaceMethod(Interpreter& interpreter, const TrackedText& self, ArgumentReader& arguments) {
  const std::string_view old = arguments.NeedText("old").text.bytes();
  const TrackedText& replacement = arguments.NeedText("new").text;
  const int64_t limit = arguments.Integer("count", -1);
  arguments.Done();
  const size_t count = CountOf(self.bytes(), old);
  interpreter.budget().ChargeText(self.size());
  interpreter.budget().ChargeTexts(count, replacement.size() + replacement.spans().size());
  return interpreter.MakeText(Replace(self, old, replacement, limit < 0 ? kNoLimit : limit));
}

template <bool from_right, bool must_be_there>
Value FindMethodOf(Interpreter&, const TrackedText& self, ArgumentReader& arguments) {
  const std::string_view part = arguments.NeedText("sub").text.bytes();
  arguments.Done();
  const size_t found = from_right ? self.bytes().rfind(part) : self.bytes().find(part);
  if (found == std::string_view::npos) {
    if (must_be_there) Fail("index: the substring is not there");
    return Value::MakeInteger(-1);
  }
  return Value::MakeInteger(static_cast<int64_t>(CountCodePoints(self.bytes().substr(0, found))));
}

Value CountMethod(Interpreter&, const TrackedText& self, ArgumentReader& arguments) {
  const std::string_view part = arguments.NeedText("sub").text.bytes();
  arguments.Done();
  return Value::MakeInteger(static_cast<int64_t>(CountOf(self.bytes(), part)));
}

Value JoinMethod(Interpreter& interpreter, const TrackedText& self, ArgumentReader& arguments) {
  const std::vector<Value> items = Iterate(arguments.Need("iterable"));
  arguments.Done();
  TrackedText joined;
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].text() == nullptr) {
      Fail("join: item {} is a '{}', not a string", i, TypeName(items[i]));
    }
    const TrackedText& part = items[i].text()->text;
    interpreter.budget().ChargeText(part.size() + self.size());
    interpreter.budget().CheckText(joined.size() + part.size() + self.size());
    if (i > 0) joined.Append(self);
    joined.Append(part);
  }
  return interpreter.MakeText(std::move(joined));
}

enum class Side { kLeft, kRight };
template <Side padding>
Value JustifyMethod(Interpreter& interpreter, const TrackedText& self, ArgumentReader& arguments) {
  const int64_t width = arguments.Integer("width", 0);
  const Text* fill = arguments.OptionalText("fillchar");
  arguments.Done();
  const auto length = static_cast<int64_t>(CountCodePoints(self.bytes()));
  if (fill != nullptr && CountCodePoints(fill->text.bytes()) != 1) {
    Fail("the fill character is one character, found '{}'", fill->text.bytes());
  }
  const std::string_view character = fill == nullptr ? " " : fill->text.bytes();
  const auto missing = static_cast<size_t>(std::max<int64_t>(0, width - length));
  interpreter.budget().ChargeTexts(missing, character.size());
  std::string pad;
  for (size_t i = 0; i < missing; ++i) pad += character;
  TrackedText result;
  if (padding == Side::kLeft) result.Append(pad);
  result.Append(self);
  if (padding == Side::kRight) result.Append(pad);
  return interpreter.MakeText(std::move(result));
}

const std::unordered_map<std::string_view, Method>& Methods() {
  static const auto* const kMethods = new std::unordered_map<std::string_view, Method>{
      {"capitalize", CaseMethod<LetterCase::kCapitalized>},
      {"count", CountMethod},
      {"endswith", AffixMethod<true>},
      {"find", FindMethodOf<false, false>},
      {"index", FindMethodOf<false, true>},
      {"isalnum", ClassMethod<CharacterClass::kAlphanumeric>},
      {"isalpha", ClassMethod<CharacterClass::kAlpha>},
      {"isdigit", ClassMethod<CharacterClass::kDigit>},
      {"islower", ClassMethod<CharacterClass::kLower>},
      {"isspace", ClassMethod<CharacterClass::kSpace>},
      {"isupper", ClassMethod<CharacterClass::kUpper>},
      {"join", JoinMethod},
      {"ljust", JustifyMethod<Side::kRight>},
      {"lower", CaseMethod<LetterCase::kLower>},
      {"lstrip", StripMethod<StripSides::kLeft>},
      {"partition", PartitionMethod<false>},
      {"removeprefix", RemoveAffixMethod<false>},
      {"removesuffix", RemoveAffixMethod<true>},
      {"replace", ReplaceMethod},
      {"rfind", FindMethodOf<true, false>},
      {"rindex", FindMethodOf<true, true>},
      {"rjust", JustifyMethod<Side::kLeft>},
      {"rpartition", PartitionMethod<true>},
      {"rsplit", SplitMethod<true>},
      {"rstrip", StripMethod<StripSides::kRight>},
      {"split", SplitMethod<false>},
      {"splitlines", SplitLinesMethod},
      {"startswith", AffixMethod<false>},
      {"strip", StripMethod<StripSides::kBoth>},
      {"title", CaseMethod<LetterCase::kTitleMethod>},
      {"upper", CaseMethod<LetterCase::kUpper>},
  };
  return *kMethods;
}

}  // namespace

Value FindTextMethod(const Value& text, const std::string& name) {
  const auto found = Methods().find(name);
  if (found == Methods().end()) {
    static constexpr std::string_view kLeftOut[] = {
        "casefold",    "center",  "encode",    "expandtabs", "format",
        "format_map",  "isascii", "isdecimal", "isnumeric",  "isidentifier",
        "isprintable", "istitle", "swapcase",  "translate",  "zfill"};
    if (std::find(std::begin(kLeftOut), std::end(kLeftOut), name) == std::end(kLeftOut)) {
      return Value();
    }
    return Value::MakeFunction(name, [name](Interpreter&, Arguments&) -> Value {
      Unsupported("the string method '{}'", name);
    });
  }
  const Method method = found->second;
  return Value::MakeFunction(name,
                             [text, name, method](Interpreter& interpreter, Arguments& arguments) {
                               ArgumentReader reader(name, &arguments);
                               return method(interpreter, text.text()->text, reader);
                             });
}

}  // namespace tanren::text::jinja
