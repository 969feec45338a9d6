#include "runtime/text/chat_template.h"

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/runtime/text/chat_rendering.h"

namespace tanren::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;

constexpr std::string_view kChatMl =
    "{%- for message in messages -%}\n"
    "<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n"
    "{% endfor %}\n"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

ChatInput TwoTurns() {
  ChatInput input;
  input.messages = {Message("user", "Ahoj?"), Message("assistant", "Ahoj!")};
  return input;
}

TEST(ChatTemplate, SpansCoverTheTextAndLeadBackToTheMessages) {
  const ChatInput input = TwoTurns();
  const auto chat = Render(kChatMl, input);
  ASSERT_TRUE(chat.ok()) << chat.status().message();
  EXPECT_EQ(chat->text,
            "<|im_start|>user\nAhoj?<|im_end|>\n<|im_start|>assistant\nAhoj!<|im_end|>\n");
  size_t at = 0;
  std::string contents;
  for (const Span& span : chat->spans) {
    EXPECT_EQ(span.begin, at);
    at = span.end;
    if (!span.copied) continue;
    const Origin& origin = chat->origins.at(static_cast<size_t>(span.origin));
    const size_t length = span.end - span.begin;
    EXPECT_EQ(chat->text.substr(span.begin, length),
              origin.source.substr(span.source_begin, length));
    if (origin.field == "content") contents += fmt::format("{}:{} ", origin.message, origin.source);
  }
  EXPECT_EQ(at, chat->text.size());
  EXPECT_EQ(contents, "0:Ahoj? 1:Ahoj! ");
}

TEST(ChatTemplate, GenerationPromptIsWhatAddGenerationPromptAdds) {
  EXPECT_EQ(Render(kChatMl, TwoTurns())->generation_prompt, "<|im_start|>assistant\n");
  EXPECT_EQ(Render("{{ messages[0].content }}", TwoTurns())->generation_prompt, "");
  ChatInput input = TwoTurns();
  input.eos_token = "</s>";
  EXPECT_EQ(
      Render("x{{ '<bot>' if add_generation_prompt else eos_token }}", input)->generation_prompt,
      "<bot>");
}

// A template may refuse the part before the first answer: that is no error of the whole.
TEST(ChatTemplate, RendersWhereTheConversationsBeginningAloneIsRefused) {
  const auto chat = Render(
      "{% if messages|length < 2 %}{{ raise_exception('too short') }}{% endif %}"
      "{% for m in messages %}{{ m.content }}{% endfor %}",
      TwoTurns());
  ASSERT_TRUE(chat.ok()) << chat.status().message();
  EXPECT_EQ(chat->text, "Ahoj?Ahoj!");
  EXPECT_EQ(chat->generation_prompt, "");
}

TEST(ChatTemplate, RefusalsOfTheTemplateAreErrorsWithItsWordsAndLine) {
  const std::string_view source =
      "{% for m in messages %}\n{% if m.role != 'user' %}\n"
      "{{ raise_exception('only ' ~ 'users here') }}\n{% endif %}\n{% endfor %}";
  EXPECT_EQ(CodeOf(source, TwoTurns()), kInvalid);
  EXPECT_THAT(Rendered(source, TwoTurns()), HasSubstr("line 3"));
  EXPECT_THAT(Rendered(source, TwoTurns()), HasSubstr("only users here"));
}

TEST(ChatTemplate, MistakesInTheTemplateNameTheirLine) {
  const std::pair<std::string_view, std::string_view> mistakes[] = {
      {"a\nb\n{{ 1 + }}", "line 3"},
      {"{% if true %}\n\nx", "line 3"},
      {"\n{% for m in messages %}\n{{ m.content.x.y }}{% endfor %}", "line 3"},
      {"\n\n{{ nowhere.x }}", "'nowhere' is undefined"},
      {"{{ messages[0].content + 1 }}", "line 1"},
  };
  for (const auto& [source, expected] : mistakes) {
    EXPECT_EQ(CodeOf(source, TwoTurns()), kInvalid) << source;
    EXPECT_THAT(Rendered(source, TwoTurns()), HasSubstr(expected)) << source;
  }
}

TEST(ChatTemplate, WhatIsNotSupportedIsNamedWithItsLine) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"\n{% include 'x' %}", "'include'"},
      {"\n{% import 'x' as y %}", "'import'"},
      {"\n{% extends 'x' %}", "'extends'"},
      {"\n{% block x %}{% endblock %}", "'block'"},
      {"\n{% autoescape true %}{% endautoescape %}", "'autoescape'"},
      {"\n{% for x in y recursive %}{% endfor %}", "recursive for"},
      {"\n{{ f(*x) }}", "* in a call"},
      {"\n{{ 'a'|wordwrap }}", "filter 'wordwrap'"},
      {"\n{{ 1 is nosuch }}", "test 'nosuch'"},
      {"\n{% macro f() %}{{ varargs }}{% endmacro %}", "'varargs' of a macro"},
      {"\n{{ '{}'.format(1) }}", "string method 'format'"},
      {"\n{{ '%05d' % 3 }}", "in a format"},
      {"\n{{ [1].append(2) }}", "list.append"},
      {"\n{{ strftime_now('%Z') }}", "'%Z' in strftime_now"},
      {"\n{{ [namespace()] }}", "Namespace inside a list"},
      {"\n{{ x[1, 2] }}", "several indices"},
      {"\n{{ [1]|sort(attribute='a,b') }}", "several attributes"},
      {"\n{% from 'x' import y %}", "'from'"},
      {"\n{% print 1 %}", "'print'"},
      {"\n{% do x.y() %}", "'do'"},
      {"\n{% trans %}x{% endtrans %}", "'trans'"},
      {"\n{{ f(**x) }}", "* in a call"},
      {"\n{% macro f() %}{{ kwargs }}{% endmacro %}", "'kwargs' of a macro"},
      {"\n{{ '%s'|format(a=1) }}", "named values of the filter format"},
      {"\n{{ 9223372036854775807 + 1 }}", "more than 64 bits"},
      {"\n{{ 2 ** 64 }}", "more than 64 bits"},
      {"\n{{ 1e30|int }}", "more than 64 bits"},
      {"\n{{ '99999999999999999999'|int }}", "more than 64 bits"},
      {"\n{{ '1'|int(0, 40) }}", "base 40 of the filter int"},
      {"\n{{ namespace(a=namespace()) }}", "Namespace inside a namespace"},
      {"\n{% set n = namespace() %}{% set n.x = n %}", "Namespace inside a namespace"},
      {"\n{{ namespace() }}", "printing a Namespace"},
      {"\n{{ ['a']|map('upper') }}", "printing a generator"},
      {"\n{{ {}.update({}) }}", "would change its object"},
      {"\n{{ {nowhere: 1} }}", "an undefined value as the key of a dict"},
      {"\n{{ 5[1:] }}", "a slice of a 'int'"},
      {"\n{{ 'abc'['a':] }}", "slice bounds of type 'str'"},
      {"\n{{ 2.5|round(1.0) }}", "a precision of type 'float'"},
      {"{% set n = namespace() %}{% for i in [1] %}{% macro g() %}{{ i }}{% endmacro %}"
       "{% set n.f = g %}{% endfor %}\n{{ n.f() }}",
       "macro 'g' called outside of where it is defined"},
  };
  ChatInput input;
  input.now = std::chrono::local_seconds{};
  for (const auto& [source, expected] : cases) {
    EXPECT_EQ(CodeOf(source, input), kUnimplemented) << source;
    EXPECT_THAT(Rendered(source, input), HasSubstr("line 2")) << source;
    EXPECT_THAT(Rendered(source, input), HasSubstr(expected)) << source;
  }
}

// Jinja 3.1's own, all of them. One that is there does what the golden files say.
TEST(ChatTemplate, EveryFilterTestAndFunctionOfJinjaIsThereOrNamed) {
  const std::vector<std::string> filters = absl::StrSplit(
      "abs attr batch capitalize center count d default dictsort e escape filesizeformat first "
      "float forceescape format groupby indent int items join last length list lower map max min "
      "pprint random reject rejectattr replace reverse round safe select selectattr slice sort "
      "string striptags sum title tojson trim truncate unique upper urlencode urlize wordcount "
      "wordwrap xmlattr",
      ' ');
  const std::vector<std::string> tests = absl::StrSplit(
      "boolean callable defined divisibleby eq equalto escaped even false filter float ge "
      "greaterthan gt in integer iterable le lessthan lower lt mapping ne none number odd sameas "
      "sequence string test true undefined upper",
      ' ');
  // Not run, so it is there wherever it is not refused by name.
  const auto check = [](const std::string& source, const std::string& name) {
    const std::string rendered = Rendered("\n{% if false %}{{ " + source + " }}{% endif %}");
    if (rendered == "\n") return true;
    EXPECT_THAT(rendered, HasSubstr("line 2: unsupported: " + name));
    return false;
  };
  std::vector<std::string> lacking;
  for (const std::string& name : filters) {
    if (!check("x|" + name, fmt::format("filter '{}'", name))) lacking.push_back(name);
  }
  EXPECT_THAT(lacking, ElementsAre("attr", "batch", "center", "filesizeformat", "forceescape",
                                   "groupby", "pprint", "random", "slice", "striptags", "truncate",
                                   "urlencode", "urlize", "wordcount", "wordwrap", "xmlattr"));
  for (const std::string& name : tests) {
    EXPECT_TRUE(check("x is " + name, fmt::format("test '{}'", name))) << name;
  }
  for (const char* name : {"cycler", "joiner", "lipsum"}) {
    EXPECT_EQ(Rendered(fmt::format("{{{{ {} is defined }}}}", name)), "True");
    EXPECT_THAT(Rendered(fmt::format("\n{{{{ {}() }}}}", name)),
                HasSubstr(fmt::format("line 2: unsupported: function '{}'", name)));
  }
}

TEST(ChatTemplate, InputThatTemplatesCannotHoldIsNamed) {
  ChatInput input;
  input.messages = {{{"role", "user"}, {"content", {{{"text", "\xff"}}}}}};
  EXPECT_THAT(Rendered("", input), HasSubstr("messages[0] content[0].text: byte 0 is not UTF-8"));
  input.messages = {"Hello"};
  EXPECT_THAT(Rendered("", input), HasSubstr("messages[0]: expected an object, found string"));
  input.messages = "Hello";
  EXPECT_THAT(Rendered("", input), HasSubstr("messages: expected an array, found string"));
  input.messages = {{{"id", uint64_t{1} << 63}}};
  EXPECT_THAT(Rendered("", input), HasSubstr("doesn't fit 64 bits"));
  input.messages = nlohmann::ordered_json::array();
  input.variables = {1};
  EXPECT_THAT(Rendered("", input), HasSubstr("variables: expected an object"));
  EXPECT_EQ(CodeOf("a\xc0"), kInvalid);
  EXPECT_THAT(Rendered("{{ strftime_now('%Y') }}"), HasSubstr("strftime_now"));
}

TEST(ChatTemplate, ReasoningIsFoundUnderEitherName) {
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    ChatInput input;
    input.messages = {{{"role", "assistant"}, {name, "Hm."}}};
    EXPECT_EQ(Rendered("{{ messages[0].reasoning_content }}{{ messages[0].thinking }}", input),
              "Hm.Hm.");
  }
}

TEST(RenderLimits, AnEndlessTemplateEnds) {
  ChatInput input;
  input.limits.max_steps = 100'000;
  const std::string_view nested =
      "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
  EXPECT_EQ(CodeOf(nested, input), kExhausted);
  EXPECT_THAT(Rendered(nested, input), HasSubstr("more than 100000 steps"));
  EXPECT_EQ(CodeOf("{{ range(1000000000000)|list }}", input), kExhausted);
}

TEST(RenderLimits, TextsGrowNoFurtherThanTheLimit) {
  ChatInput input;
  input.limits.max_text_bytes = 1000;
  EXPECT_EQ(Rendered("{{ 'x' * 1000 }}", input).size(), 1000u);
  const std::string_view doubling =
      "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% "
      "endfor %}";
  for (const std::string_view source :
       {std::string_view("{{ 'x' * 1001 }}"), std::string_view("{{ 'x' * 9223372036854775807 }}"),
        std::string_view("{% for i in range(101) %}0123456789{% endfor %}"),
        std::string_view("{% set x %}{% for i in range(101) %}0123456789{% endfor %}{% endset %}"),
        std::string_view("{{ 'a'.ljust(9000000000) }}"),
        std::string_view("{{ ('a' * 900).replace('a', 'bb') }}"),
        std::string_view("{{ ['x' * 600, 'y' * 600]|tojson }}"),
        std::string_view("{{ ['x' * 600, 'y' * 600]|join }}"),
        std::string_view("{{ 'x' * 600 ~ 'y' * 600 }}"), doubling}) {
    EXPECT_EQ(CodeOf(source, input), kExhausted) << source;
    EXPECT_THAT(Rendered(source, input), HasSubstr("1000 bytes")) << source;
  }
}

TEST(RenderLimits, RecursionEnds) {
  EXPECT_EQ(CodeOf("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), kExhausted);
  EXPECT_THAT(Rendered("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), HasSubstr("500 deep"));
  EXPECT_EQ(CodeOf("{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}"
                   "{% endfor %}"),
            kExhausted);
}

TEST(RenderLimits, DeepSyntaxIsRefusedBeforeItIsRun) {
  const auto repeated = [](std::string_view part) {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += part;
    return text;
  };
  EXPECT_EQ(CodeOf("{{ " + repeated("(") + "1" + repeated(")") + " }}"), kExhausted);
  EXPECT_EQ(CodeOf("{{ 1" + repeated(" + 1") + " }}"), kExhausted);
  EXPECT_EQ(CodeOf("{{ x" + repeated("|e") + " }}"), kExhausted);
  EXPECT_EQ(CodeOf("{{ " + repeated("not ") + "1 }}"), kExhausted);
  EXPECT_EQ(CodeOf("{{ x" + repeated(".a") + " }}"), kExhausted);
  EXPECT_EQ(CodeOf(repeated("{% if x %}")), kExhausted);
  EXPECT_EQ(CodeOf("{% if x %}" + repeated("{% elif x %}") + "{% endif %}"), kExhausted);
}

TEST(RenderLimits, DeepInputIsRefused) {
  nlohmann::ordered_json deep = 1;
  for (int i = 0; i < 200; ++i) deep = nlohmann::ordered_json::array({deep});
  ChatInput input;
  input.variables = {{"deep", deep}};
  EXPECT_EQ(CodeOf("", input), kExhausted);
  EXPECT_THAT(Rendered("", input), HasSubstr("nests more than 100 deep"));
}

}  // namespace
}  // namespace tanren::text
