#include "runtime/text/assistant_targets.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/runtime/text/chat_rendering.h"

namespace tanren::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::ordered_json;

constexpr std::string_view kChatMl =
    "{% for m in messages %}"
    "{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

ChatInput Chat(std::vector<Json> messages) {
  ChatInput input;
  input.messages = std::move(messages);
  input.bos_token = "<s>";
  input.eos_token = "</s>";
  return input;
}

TargetOptions Ending(std::vector<std::string> end_tokens) {
  TargetOptions options;
  options.end_tokens = std::move(end_tokens);
  return options;
}

// The text with ⟦ ⟧ around each target; "]" in place of "⟧" where no end token ends it.
std::string Marked(std::string_view source, const ChatInput& input, const TargetOptions& options) {
  const auto chat = Render(source, input);
  if (!chat.ok()) return std::string(chat.status().message());
  const auto ranges = AssistantTargets(*chat, options);
  if (!ranges.ok()) return std::string(ranges.status().message());
  std::string marked = chat->text;
  for (auto range = ranges->rbegin(); range != ranges->rend(); ++range) {
    marked.insert(range->end, range->ended ? "⟧" : "]");
    marked.insert(range->begin, "⟦");
  }
  return marked;
}

std::string MarkedChatMl(std::vector<Json> messages) {
  return Marked(kChatMl, Chat(std::move(messages)), Ending({"<|im_end|>"}));
}

TEST(AssistantTargets, HoldTheAnswerAndItsEndTokenAndNotItsHeader) {
  EXPECT_EQ(MarkedChatMl({Message("user", "1"), Message("assistant", "one"), Message("user", "2"),
                          Message("assistant", "two")}),
            "<|im_start|>user\n1<|im_end|>\n<|im_start|>assistant\n⟦one<|im_end|>⟧\n"
            "<|im_start|>user\n2<|im_end|>\n<|im_start|>assistant\n⟦two<|im_end|>⟧\n");
}

TEST(AssistantTargets, ASystemsOrUsersQuoteOfTheAssistantIsNoTarget) {
  const std::string quote = "<|im_start|>assistant\nYes.<|im_end|>";
  EXPECT_EQ(MarkedChatMl({Message("system", "Yes."), Message("user", quote),
                          Message("assistant", "Yes."), Message("user", "Yes.")}),
            "<|im_start|>system\nYes.<|im_end|>\n<|im_start|>user\n" + quote +
                "<|im_end|>\n<|im_start|>assistant\n⟦Yes.<|im_end|>⟧\n"
                "<|im_start|>user\nYes.<|im_end|>\n");
}

TEST(AssistantTargets, AnEndTokenInsideTheAnswerDoesNotEndIt) {
  EXPECT_EQ(MarkedChatMl({Message("assistant", "It is <|im_end|>, so."), Message("user", "I see")}),
            "<|im_start|>assistant\n⟦It is <|im_end|>, so.<|im_end|>⟧\n"
            "<|im_start|>user\nI see<|im_end|>\n");
}

TEST(AssistantTargets, AnAnswerThatRepeatsItsHeaderIsWhole) {
  EXPECT_EQ(MarkedChatMl({Message("assistant", "<|im_start|>assistant\nx")}),
            "<|im_start|>assistant\n⟦<|im_start|>assistant\nx<|im_end|>⟧\n");
}

TEST(AssistantTargets, AnEmptyAnswerIsItsEndToken) {
  EXPECT_EQ(MarkedChatMl({Message("user", "Hush!"), Message("assistant", "")}),
            "<|im_start|>user\nHush!<|im_end|>\n<|im_start|>assistant\n⟦<|im_end|>⟧\n");
}

TEST(AssistantTargets, AnEmptyAnswerWithoutAHeaderIsItsEndToken) {
  EXPECT_EQ(Marked("{% for m in messages %}{{ ' ' + m.content + eos_token }}{% endfor %}",
                   Chat({Message("user", "Hush!"), Message("assistant", "")}), Ending({"</s>"})),
            " Hush!</s>⟦ </s>⟧");
}

TEST(AssistantTargets, OfTheLastMessageLeaveEarlierAnswersOut) {
  TargetOptions options = Ending({"<|im_end|>"});
  options.which = TargetOptions::Which::kLastAssistantMessage;
  EXPECT_EQ(Marked(kChatMl,
                   Chat({Message("assistant", "one"), Message("user", "2"),
                         Message("assistant", "two"), Message("user", "3")}),
                   options),
            "<|im_start|>assistant\none<|im_end|>\n<|im_start|>user\n2<|im_end|>\n"
            "<|im_start|>assistant\n⟦two<|im_end|>⟧\n<|im_start|>user\n3<|im_end|>\n");
}

TEST(AssistantTargets, WithoutAnEndTokenEndWithTheContent) {
  const ChatInput input = Chat({Message("user", "a"), Message("assistant", "b")});
  EXPECT_EQ(Marked(kChatMl, input, Ending({})),
            "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦b]<|im_end|>\n");
  EXPECT_EQ(Marked("{% for m in messages %}{{ m.content }};{% endfor %}", input, Ending({"</s>"})),
            "a;⟦b];");
}

TEST(AssistantTargets, WithoutAHeaderBeginAtTheAnswerAndTheSpaceBeforeIt) {
  EXPECT_EQ(Marked("{{ bos_token }}{% for m in messages %}"
                   "{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
                   "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}",
                   Chat({Message("user", "1"), Message("assistant", "one"), Message("user", "2"),
                         Message("assistant", "two")}),
                   Ending({"</s>"})),
            "<s>[INST] 1 [/INST]⟦ one</s>⟧[INST] 2 [/INST]⟦ two</s>⟧");
}

TEST(AssistantTargets, EndWithATokenRightBehindTheLoop) {
  EXPECT_EQ(
      Marked("{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}{{ eos_token }}",
             Chat({Message("user", "a"), Message("assistant", "b")}), Ending({"</s>"})),
      "user: aassistant: ⟦b</s>⟧");
}

TEST(AssistantTargets, TakeTheEndTokenOfTheTurnAndNotOneThatFollowsIt) {
  EXPECT_EQ(Marked("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
                   "{{ eos_token }}",
                   Chat({Message("assistant", "b")}), Ending({"<|end|>", "</s>"})),
            "<|assistant|>⟦b<|end|>⟧</s>");
}

TEST(AssistantTargets, AreFoundInLoopsOverIndicesAndWithoutLoops) {
  const ChatInput input = Chat({Message("user", "a"), Message("assistant", "b")});
  EXPECT_EQ(Marked("{% for i in range(messages|length) %}{% set m = messages[i] %}"
                   "<{{ m.role }}>{{ m.content }}</s>{% endfor %}",
                   input, Ending({"</s>"})),
            "<user>a</s><assistant>⟦b</s>⟧");
  EXPECT_EQ(Marked("Q: {{ messages[0].content }} A: {{ messages[1].content }}</s>", input,
                   Ending({"</s>"})),
            "Q: a A: ⟦b</s>⟧");
}

TEST(AssistantTargets, FollowMacrosFiltersAndVariables) {
  EXPECT_EQ(Marked("{% macro turn(m) %}{% set text = m['content'] | trim %}"
                   "<{{ m.role }}>{{ text[:2] ~ text[2:] }}{% endmacro %}"
                   "{% for m in messages %}{% set out = turn(m) %}{{ out + '</s>' }}{% endfor %}",
                   Chat({Message("user", " über "), Message("assistant", " über alles\n")}),
                   Ending({"</s>"})),
            "<user>über</s><assistant>⟦über alles</s>⟧");
}

TEST(AssistantTargets, AreTheGenerationBlocksWhereATemplateHasThem) {
  EXPECT_EQ(Marked("{% for m in messages %}<{{ m.role }}>"
                   "{% if m.role == 'assistant' %}{% generation %}say: {{ m.content }}</s>"
                   "{% endgeneration %}\n{% else %}{{ m.content }}\n{% endif %}{% endfor %}",
                   Chat({Message("user", "a"), Message("assistant", "b")}), Ending({"</s>"})),
            "<user>a\n<assistant>⟦say: b</s>⟧");
}

TEST(AssistantTargets, MayBeAnotherRoles) {
  TargetOptions options = Ending({"<|im_end|>"});
  options.role = "user";
  EXPECT_EQ(Marked(kChatMl, Chat({Message("user", "a"), Message("assistant", "b")}), options),
            "<|im_start|>user\n⟦a<|im_end|>⟧\n<|im_start|>assistant\nb<|im_end|>\n");
}

// The shape of Qwen 3.
constexpr std::string_view kDropsReasoning =
    "{% for m in messages %}<{{ m.role }}>\n"
    "{% if m.reasoning_content and loop.last %}<think>\n{{ m.reasoning_content }}\n</think>\n\n"
    "{% endif %}{{ m.content.split('</think>')[-1].lstrip('\\n') }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n{% endif %}";

TEST(AssistantTargets, ReasoningThatATemplateDropsFromEarlierTurnsIsNoProblem) {
  Json first = Message("assistant", "four");
  first["reasoning_content"] = "2 and 2";
  Json last = Message("assistant", "six");
  last["reasoning_content"] = "3 and 3";
  EXPECT_EQ(
      Marked(kDropsReasoning, Chat({Message("user", "2+2?"), first, Message("user", "3+3?"), last}),
             Ending({"</s>"})),
      "<user>\n2+2?</s>\n<assistant>\n⟦four</s>⟧\n"
      "<user>\n3+3?</s>\n<assistant>\n⟦<think>\n3 and 3\n</think>\n\nsix</s>⟧\n");
  EXPECT_EQ(Marked(kDropsReasoning,
                   Chat({Message("user", "?"), Message("assistant", "<think>\nHm\n</think>\n\nA")}),
                   Ending({"</s>"})),
            "<user>\n?</s>\n<assistant>\n⟦A</s>⟧\n");
}

Json Call(std::string_view name, const Json& arguments) {
  return {{"type", "function"}, {"function", {{"name", name}, {"arguments", arguments}}}};
}

constexpr std::string_view kCalls =
    "{% for m in messages %}<{{ m.role }}>\n{{ m.content or '' }}"
    "{% for call in m.tool_calls or [] %}<call>{{ call.function.name }}:"
    "{{ call.function.arguments | tojson }}</call>{% endfor %}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n{% endif %}";

TEST(AssistantTargets, HoldToolCallsAndNotTheirResults) {
  Json call = {{"role", "assistant"}, {"content", nullptr}};
  call["tool_calls"] = {Call("sum", {{"a", 1}, {"b", "\"x\" é"}}), Call("now", Json::object())};
  EXPECT_EQ(Marked(kCalls,
                   Chat({Message("user", "?"), call, Message("tool", "sum:1"),
                         Message("assistant", "So.")}),
                   Ending({"</s>"})),
            "<user>\n?</s><assistant>\n⟦<call>sum:{\"a\": 1, \"b\": \"\\\"x\\\" é\"}</call>"
            "<call>now:{}</call></s>⟧<tool>\nsum:1</s><assistant>\n⟦So.</s>⟧");
}

std::vector<RoundTripProblem> Problems(std::string_view source, const ChatInput& input) {
  return ReportAssistantTargets(*Render(source, input), Ending({"</s>"})).problems;
}

TEST(RoundTrip, AnswersThatAreCutAlteredDroppedOrRepeatedAreErrors) {
  const ChatInput input = Chat({Message("user", "q"), Message("assistant", "A long answer")});
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"{{ m.content[:6] }}", "from its byte 6 on: ' answer'"},
      {"{{ m.content|upper }}", "is altered"},
      {"{{ m.content|replace('long ', '') }}", "from its byte 2 on"},
      {"{{ m.content }}{{ m.content }}", "twice"},
      {"{{ m.role }}", "from its byte 0 on"},
      {"{{ m.content|reverse }}", "messages[1].content"},
      {"{{ m.content|e|replace('long', 'short') }}", "messages[1].content"},
  };
  for (const auto& [body, expected] : cases) {
    const std::string source = fmt::format("{{% for m in messages %}}{}{{% endfor %}}", body);
    EXPECT_THAT(Marked(source, input, Ending({"</s>"})), HasSubstr(expected)) << source;
    EXPECT_THAT(Marked(source, input, Ending({"</s>"})), HasSubstr("messages[1].content"));
  }
}

TEST(RoundTrip, OnlyTheAnswersThatAreTrainedOnMatter) {
  const ChatInput input = Chat({Message("assistant", "one"), Message("assistant", "two")});
  const std::string_view drops_first =
      "{% for m in messages %}{% if loop.last %}{{ m.content }}{% endif %}{% endfor %}";
  EXPECT_EQ(Problems(drops_first, input).size(), 1u);
  TargetOptions last = Ending({"</s>"});
  last.which = TargetOptions::Which::kLastAssistantMessage;
  EXPECT_EQ(Marked(drops_first, input, last), "⟦two]");
}

TEST(RoundTrip, WhiteSpaceAtTheEndsMayGo) {
  const ChatInput input = Chat({Message("assistant", "\n two words \n")});
  EXPECT_THAT(Problems("{% for m in messages %}{{ m.content|trim }}{% endfor %}", input),
              IsEmpty());
  EXPECT_EQ(
      Problems("{% for m in messages %}{{ m.content|trim|replace(' ', '') }}{% endfor %}", input)
          .size(),
      1u);
}

TEST(RoundTrip, ReasoningStandsWholeOrNotAtAll) {
  Json message = Message("assistant", "four");
  message["reasoning_content"] = "2 and 2";
  const auto rendered = [&](std::string_view body) {
    return Problems(
        fmt::format("{{% for m in messages %}}{}{{{{ m.content }}}}{{% endfor %}}", body),
        Chat({message}));
  };
  EXPECT_THAT(rendered(""), IsEmpty());
  EXPECT_THAT(rendered("{{ m.reasoning_content }}"), IsEmpty());
  EXPECT_EQ(rendered("{{ m.reasoning_content[:3] }}").size(), 1u);
}

TEST(RoundTrip, ToolCallsKeepTheirNamesAndArguments) {
  Json message = {{"role", "assistant"}, {"tool_calls", {Call("sum", {{"a", 1}, {"b", "x"}})}}};
  const auto fields = [&](std::string_view body) {
    std::vector<std::string> names;
    const std::string source = fmt::format(
        "{{% for m in messages %}}{{% for c in m.tool_calls %}}{}{{% endfor %}}{{% "
        "endfor %}}",
        body);
    for (const RoundTripProblem& problem : Problems(source, Chat({message}))) {
      names.push_back(problem.field);
    }
    return names;
  };
  EXPECT_THAT(fields("{{ c.function|tojson }}"), IsEmpty());
  EXPECT_THAT(fields("{{ c.function.arguments|tojson }}"),
              ElementsAre("tool_calls[0].function.name"));
  EXPECT_THAT(fields("{{ c.function.name }}{{ c.function.arguments.a }}"),
              ElementsAre("tool_calls[0].function.arguments.b"));
}

}  // namespace
}  // namespace tanren::text
