// Against transformers' apply_chat_template: tests/golden/chat_template.py. Texts must be equal to
// the byte, and the targets must be what {% generation %} marks, also where a template has no such
// marks.
#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/text/assistant_targets.h"
#include "tests/runtime/text/chat_rendering.h"

namespace tanren::text {
namespace {

using Json = nlohmann::ordered_json;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return text.str();
}

std::string ReadGolden(const std::string& name) {
  return ReadFile("tests/golden/chat_template/" + name);
}

std::vector<Json> RowsOf(const std::string& lines) {
  std::istringstream text(lines);
  std::vector<Json> rows;
  for (std::string line; std::getline(text, line);) rows.push_back(Json::parse(line));
  return rows;
}

std::vector<Json> ReadRows(const std::string& name) { return RowsOf(ReadGolden(name)); }

// What FixedNow in the script says.
std::chrono::local_seconds Now() {
  using namespace std::chrono;
  return local_days(year(2026) / March / 7) + 9h + 5min + 3s;
}

ChatInput InputOf(const Json& conversation, const Json& row) {
  ChatInput input;
  input.messages = conversation.at("messages");
  if (conversation.contains("tools")) input.tools = conversation["tools"];
  if (conversation.contains("documents")) input.documents = conversation["documents"];
  if (conversation.contains("variables")) input.variables = conversation["variables"];
  input.add_generation_prompt = row.at("add_generation_prompt").get<bool>();
  input.bos_token = "<s>";
  input.eos_token = "</s>";
  input.now = Now();
  return input;
}

// The same template without {% generation %}, and the same white space.
std::string WithoutMarks(const std::string& source) {
  const std::string opened =
      std::regex_replace(source, std::regex(R"((\{%-?) *generation *(-?%\}))"), "$1 if true $2");
  return std::regex_replace(opened, std::regex(R"((\{%-?) *endgeneration *(-?%\}))"),
                            "$1 endif $2");
}

using Ranges = std::vector<std::pair<size_t, size_t>>;

TargetOptions Options() {
  TargetOptions options;
  options.end_tokens = {"<|im_end|>", "<|eot_id|>",    "</s>",
                        "<|end|>",    "<end_of_turn>", "<｜end▁of▁sentence｜>"};
  return options;
}

// Ranges of messages may touch: those of transformers are joined then.
Ranges TargetsOf(const RenderedChat& chat) {
  Ranges joined;
  for (const TargetRange& range : ReportAssistantTargets(chat, Options()).ranges) {
    if (!joined.empty() && joined.back().second == range.begin) {
      joined.back().second = range.end;
    } else {
      joined.emplace_back(range.begin, range.end);
    }
  }
  return joined;
}

std::string Marked(const std::string& text, const Ranges& ranges) {
  std::string marked = text;
  for (auto range = ranges.rbegin(); range != ranges.rend(); ++range) {
    marked.insert(range->second, "⟧");
    marked.insert(range->first, "⟦");
  }
  return marked;
}

class ChatGolden : public ::testing::TestWithParam<std::string> {
 protected:
  // Calls check(row, input, source) for each rendering of the template.
  template <typename Check>
  void ForEachRow(const Check& check) {
    const Json conversations = Json::parse(ReadGolden("conversations.json")).at("conversations");
    const std::string source = ReadGolden(GetParam() + ".jinja");
    size_t count = 0;
    for (const Json& row : ReadRows("renderings.jsonl")) {
      if (row.at("template") != GetParam()) continue;
      const std::string name = row.at("conversation");
      SCOPED_TRACE(fmt::format("conversation {}, prompt {}", name,
                               row.at("add_generation_prompt").get<bool>()));
      check(row, InputOf(conversations.at(name), row), source);
      ++count;
    }
    EXPECT_EQ(count, 2 * conversations.size());
  }
};

TEST_P(ChatGolden, RendersAsTransformersDoes) {
  ForEachRow([](const Json& row, const ChatInput& input, const std::string& source) {
    const auto chat = Render(source, input);
    if (row.contains("error")) {
      EXPECT_FALSE(chat.ok()) << chat->text << "\nbut there: " << row["error"];
    } else if (chat.ok()) {
      EXPECT_EQ(chat->text, row.at("text").get<std::string>());
    } else {
      ADD_FAILURE() << chat.status().message();
    }
  });
}

TEST_P(ChatGolden, OrdinaryConversationsRoundTripAndDroppedCallsDoNot) {
  const std::set<std::string> ordinary = {"answer",   "system", "turns",
                                          "japanese", "edges",  "quotes"};
  const std::set<std::string> without_calls = {"chatml", "deepseek", "macros", "phi3",
                                               "smollm2_gguf"};
  ForEachRow([&](const Json& row, const ChatInput& input, const std::string& source) {
    if (row.contains("error")) return;
    const auto chat = Render(source, input);
    ASSERT_TRUE(chat.ok());
    const absl::Status status = AssistantTargets(*chat, Options()).status();
    const std::string conversation = row.at("conversation");
    if (ordinary.count(conversation) > 0) {
      EXPECT_TRUE(status.ok()) << status.message();
    } else if (conversation == "tools") {
      EXPECT_EQ(status.ok(), without_calls.count(GetParam()) == 0) << status.message();
    }
  });
}

class ChatTargetsGolden : public ChatGolden {};

TEST_P(ChatTargetsGolden, AreTheGenerationBlocksWithThemAndWithoutThem) {
  ForEachRow([](const Json& row, const ChatInput& input, const std::string& source) {
    if (row.contains("error")) return;
    const std::string text = row.at("text");
    const Ranges ranges = row.at("generated").get<Ranges>();
    const auto with = Render(source, input);
    const auto without = Render(WithoutMarks(source), input);
    ASSERT_TRUE(with.ok() && without.ok());
    EXPECT_TRUE(with->has_generation_blocks);
    EXPECT_FALSE(without->has_generation_blocks);
    EXPECT_EQ(without->text, text);
    EXPECT_EQ(Marked(text, TargetsOf(*with)), Marked(text, ranges));
    EXPECT_EQ(Marked(text, TargetsOf(*without)), Marked(text, ranges)) << "without blocks";
  });
}

const auto kShapes = ::testing::Values("chatml", "deepseek", "gemma", "llama3", "macros", "mistral",
                                       "phi3", "qwen2_5", "qwen3");
const auto kName = [](const auto& shape) { return shape.param; };
INSTANTIATE_TEST_SUITE_P(Shapes, ChatGolden, kShapes, kName);
INSTANTIATE_TEST_SUITE_P(Real, ChatGolden, ::testing::Values("smollm2_gguf"), kName);
INSTANTIATE_TEST_SUITE_P(Shapes, ChatTargetsGolden, kShapes, kName);

TEST(JinjaGolden, SnippetsRenderAsInJinja) {
  ChatInput input;
  input.variables = Json::parse(ReadGolden("conversations.json")).at("variables");
  input.now = Now();
  const std::vector<Json> rows = ReadRows("snippets.jsonl");
  EXPECT_GT(rows.size(), 250u);
  for (const Json& row : rows) {
    const std::string source = row.at("template");
    const auto chat = Render(source, input);
    if (row.contains("error")) {
      EXPECT_FALSE(chat.ok()) << source << "\n" << chat->text << "\nbut there: " << row["error"];
    } else if (chat.ok()) {
      EXPECT_EQ(chat->text, row.at("text").get<std::string>()) << source;
    } else {
      ADD_FAILURE() << source << "\n" << chat.status().message();
    }
  }
}

// Made by tests/golden/chat_template_random.py. What isn't supported may be said so.
TEST(JinjaGolden, RandomTemplatesRenderAsInJinjaOrAreRefused) {
  const char* corpus = std::getenv("TANREN_TEMPLATE_CORPUS");
  const std::string folder = corpus != nullptr ? corpus : "tests/golden/chat_template";
  ChatInput input;
  input.variables = Json::parse(ReadGolden("conversations.json")).at("variables");
  input.now = Now();
  size_t rendered = 0, refused = 0, failed = 0;
  for (const Json& row : RowsOf(ReadFile(folder + "/random_snippets.jsonl"))) {
    const std::string source = row.at("template");
    const auto chat = Render(source, input);
    if (absl::IsUnimplemented(chat.status())) {
      ++refused;
    } else if (row.contains("error") == chat.ok()) {
      ++failed;
      ADD_FAILURE() << source << "\nhere: " << (chat.ok() ? chat->text : chat.status().ToString())
                    << "\nthere: " << row.value("error", row.value("text", ""));
    } else if (chat.ok()) {
      ++rendered;
      const bool equal = chat->text == row.at("text").get<std::string>();
      failed += !equal;
      EXPECT_EQ(chat->text, row.at("text").get<std::string>()) << source;
    }
    ASSERT_LT(failed, 20u) << "and no more are shown";
  }
  EXPECT_GT(rendered, 10 * refused);
}

}  // namespace
}  // namespace tanren::text
