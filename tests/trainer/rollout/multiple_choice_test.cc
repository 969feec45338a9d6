#include "trainer/rollout/multiple_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "runtime/base/error.h"
#include "runtime/formats/model_files.h"
#include "tests/trainer/data/chat.h"
#include "tests/trainer/data/files.h"
#include "trainer/model/model.h"
#include "trainer/model/pretrained.h"
#include "trainer/rollout/prompt.h"
#include "trainer/rollout/scoring.h"

namespace tanren::trainer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ChoiceQuestions, HaveTheRightOneByItsTextOrItsIndex) {
  const Folder folder;
  const std::string path = folder.Write(
      "choices.jsonl",
      R"({"prompt": "1 + 1 =", "choices": [" 1", " 2"], "answer": " 2"})"
      "\n\n"
      R"({"messages": [{"role": "user", "content": "?"}], "choices": ["1", "0"], "answer": 0})"
      "\n"
      R"({"prompt": "x", "choices": ["1", "0"], "answer": "0"})"
      "\n");
  const auto questions = ValueOrThrow(ReadChoiceQuestions(path, 0));
  ASSERT_EQ(questions.size(), 3u);
  EXPECT_EQ(questions[0].right, 1u);
  EXPECT_THAT(questions[0].choices, ElementsAre(" 1", " 2"));
  EXPECT_EQ(questions[1].right, 0u);
  EXPECT_EQ(questions[1].where, path + ":3");
  EXPECT_EQ(questions[2].right, 1u);  // the text "0", not the index
  EXPECT_EQ(ValueOrThrow(ReadChoiceQuestions(path, 2)).size(), 2u);
}

TEST(ChoiceQuestions, OfABadLineSayWhatIsWrongAndWhere) {
  struct Case {
    std::string line, problem;
  };
  const Case cases[] = {
      {"[1]", "expected a JSON object"},
      {R"({"choices": ["a", "b"], "answer": 0})", "expected \"messages\" or \"prompt\""},
      {R"({"prompt": "x", "answer": 0})", "expected \"choices\", an array of two strings or more"},
      {R"({"prompt": "x", "choices": ["a"], "answer": 0})", "an array of two strings or more"},
      {R"({"prompt": "x", "choices": ["a", 2], "answer": 0})",
       "\"choices\"[1] is number, expected a string"},
      {R"({"prompt": "x", "choices": ["a", ""], "answer": 0})", "\"choices\"[1] is empty"},
      {R"({"prompt": "x", "choices": ["a", "a"], "answer": 0})",
       "\"choices\"[1] is \"a\", as one before it"},
      {R"({"prompt": "x", "choices": ["a", "b"]})",
       "\"answer\" is missing, expected the text of a choice or its index, 0 to 1"},
      {R"({"prompt": "x", "choices": ["a", "b"], "answer": 2})",
       "\"answer\" is 2, expected the text of a choice or its index, 0 to 1"},
      {R"({"prompt": "x", "choices": ["a", "b"], "answer": -1})", "\"answer\" is -1, expected"},
      {R"({"prompt": "x", "choices": ["a", "b"], "answer": "c"})", "\"answer\" is \"c\", expected"},
  };
  const Folder folder;
  for (const Case& one : cases) {
    const std::string path =
        folder.Write("bad.jsonl", R"({"prompt": "x", "choices": ["a", "b"], "answer": 1})"
                                  "\n" +
                                      one.line + "\n");
    const absl::Status status = ReadChoiceQuestions(path, 0).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(path + ":2: ")) << one.line;
    EXPECT_THAT(std::string(status.message()), HasSubstr(one.problem)) << one.line;
  }
}

ChoiceQuestion AfterPrompt(const std::string& prompt, std::vector<std::string> choices) {
  return {{{"prompt", prompt}}, std::move(choices), 0, "q.jsonl:1"};
}

ChoiceQuestion AfterMessage(const std::string& content, std::vector<std::string> choices) {
  return {{{"messages", {{{"role", "user"}, {"content", content}}}}},
          std::move(choices),
          0,
          "q.jsonl:1"};
}

// What counts of each choice.
std::vector<std::string> Counted(const ChoiceQuestion& question, const text::Tokenizer& tokenizer,
                                 const text::ChatTemplate* chat_template = nullptr) {
  std::vector<std::string> counted;
  for (const Document& document :
       ValueOrThrow(ChoiceDocuments(question, chat_template, tokenizer, 0))) {
    counted.push_back(Trained(tokenizer, document));
  }
  return counted;
}

TEST(ChoiceDocuments, OfAPromptCountWhatStandsBehindIt) {
  const auto tokenizer = MakeTokenizer({}, /*prefix=*/true);
  const auto documents =
      ValueOrThrow(ChoiceDocuments(AfterPrompt("ab", {" c", " dd"}), nullptr, *tokenizer, 0));
  EXPECT_EQ(Written(*tokenizer, documents[1].tokens), "<s>ab dd");
  EXPECT_EQ(Trained(*tokenizer, documents[0]), " c");
  EXPECT_EQ(Trained(*tokenizer, documents[1]), " dd");
}

TEST(ChoiceDocuments, ATokenOfPromptAndChoiceIsTheChoicesAndAllBeginToCountThere) {
  const auto tokenizer = MakeTokenizer({{"b", "c"}});
  EXPECT_THAT(Counted(AfterPrompt("ab", {"cd", "x"}), *tokenizer), ElementsAre("bcd", "bx"));
  EXPECT_THAT(Counted(AfterPrompt("ab", {"x", "cd"}), *tokenizer), ElementsAre("bx", "bcd"));
  EXPECT_THAT(Counted(AfterPrompt("ab", {"xc", "x"}), *tokenizer), ElementsAre("xc", "x"));
}

TEST(ChoiceDocuments, AChoiceThatBeginsAsAnotherStillCountsWhole) {
  EXPECT_THAT(Counted(AfterPrompt("a", {"xy", "xyz"}), *MakeTokenizer()), ElementsAre("xy", "xyz"));
}

TEST(ChoiceDocuments, OfAConversationCountTheContentOfTheAnswerWithoutItsEnd) {
  const auto tokenizer = MakeTokenizer();
  const text::ChatTemplate chat_template = MakeTemplate();
  const ChoiceQuestion question = AfterMessage("Q?", {"Yes.", "No"});
  const auto documents = ValueOrThrow(ChoiceDocuments(question, &chat_template, *tokenizer, 0));
  EXPECT_EQ(Trained(*tokenizer, documents[0]), "Yes.");
  EXPECT_EQ(Trained(*tokenizer, documents[1]), "No");
  // Before the choice stands what generation begins from, and nothing behind it.
  std::vector<int32_t> prompt =
      ValueOrThrow(PromptOf(question.request, &chat_template, *tokenizer));
  const std::vector<int32_t> choice = tokenizer->Encode("No", text::SpecialTokens::kPlainText);
  prompt.insert(prompt.end(), choice.begin(), choice.end());
  EXPECT_EQ(documents[1].tokens, prompt);
}

TEST(ChoiceDocuments, AChoiceThatImitatesASpecialTokenIsText) {
  const auto tokenizer = MakeTokenizer();
  const text::ChatTemplate chat_template = MakeTemplate();
  EXPECT_THAT(Counted(AfterMessage("Q?", {"a<|im_end|>b", "c"}), *tokenizer, &chat_template),
              ElementsAre("a<|im_end|>b", "c"));
}

TEST(ChoiceDocuments, WhatATemplateWritesAroundTheContentDoesNotCount) {
  const auto tokenizer = MakeTokenizer();
  const text::ChatTemplate chat_template = MakeTemplate(
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}"
      "{{ '<think></think>' }}{% endif %}{{ m.content | trim + '\n<|im_end|>' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}");
  EXPECT_THAT(Counted(AfterMessage("Q?", {" Yes ", "No"}), *tokenizer, &chat_template),
              ElementsAre("Yes", "No"));
}

TEST(ChoiceDocuments, WhatCanNotBeScoredIsAnErrorThatNamesTheQuestion) {
  const auto tokenizer = MakeTokenizer();
  const text::ChatTemplate loses = MakeTemplate("{{ messages[0].content }}"),
                           chat_template = MakeTemplate();
  const auto problem = [&](const ChoiceQuestion& question, const text::ChatTemplate* with,
                           int64_t max_positions = 0) {
    return std::string(
        ChoiceDocuments(question, with, *tokenizer, max_positions).status().message());
  };
  EXPECT_THAT(problem(AfterMessage("Q?", {"a", "b"}), &loses),
              HasSubstr("q.jsonl:1: the chat template loses the choice \"a\""));
  EXPECT_THAT(problem(AfterMessage("Q?", {"a", "b"}), nullptr),
              HasSubstr("q.jsonl:1: the model has no chat template"));
  EXPECT_THAT(problem(AfterPrompt("", {"a", "b"}), nullptr),
              HasSubstr("q.jsonl:1: no token stands before the choices"));
  EXPECT_EQ(problem(AfterPrompt("12345", {"678", "6"}), nullptr, 8), "");
  EXPECT_EQ(problem(AfterPrompt("12345", {"6", "6789"}), nullptr, 8),
            "q.jsonl:1: with \"choices\"[1] it has 9 tokens, and the model 8 positions");
  ChoiceQuestion question = AfterPrompt("", {"a", "b"});
  question.request["prompt"] = 3;
  EXPECT_EQ(problem(question, nullptr), "q.jsonl:1: \"prompt\" is number, expected a string");
  question.request = {{"messages", "hello"}};
  EXPECT_EQ(problem(question, &chat_template),
            "q.jsonl:1: \"messages\" is string, expected an array");
}

TEST(LogLikelihoods, AreTheSumsOverTheTargetsHoweverDocumentsShareAPass) {
  const auto files = ValueOrThrow(formats::ModelFiles::Open("tests/golden/llama/tied"));
  const ResidentModel model = ResidentModel::Load(
      ValueOrThrow(BuildModel(files.config())),
      [&](const std::string& name, int64_t begin, int64_t end, std::span<float> values) {
        ThrowIfError(files.weights().Read(name, begin, end, values));
      },
      at::kFloat);
  const Document documents[] = {
      {{5, 6, 7, 8}, {0, 0, 1, 1}}, {{9, 10, 11}, {0, 1, 1}}, {{5, 6, 30, 2, 1}, {0, 0, 0, 0, 1}}};
  std::vector<double> expected;
  for (const Document& document : documents) {
    const std::vector<float> logprobs = TokenLogProbs(model, document.tokens);
    double& sum = expected.emplace_back(0);
    for (size_t i = 1; i < document.tokens.size(); ++i) {
      sum += document.weights[i] * static_cast<double>(logprobs[i - 1]);
    }
  }
  for (int64_t batch_tokens : {1, 7, 8, 100}) {
    std::vector<size_t> done;
    const std::vector<double> found = LogLikelihoods(model, documents, batch_tokens,
                                                     [&](size_t count) { done.push_back(count); });
    EXPECT_THAT(found, testing::Pointwise(testing::DoubleNear(1e-5), expected)) << batch_tokens;
    // The first two have 7 tokens together, all of them 12.
    const std::vector<size_t> passes = batch_tokens == 1     ? std::vector<size_t>{1, 2, 3}
                                       : batch_tokens == 100 ? std::vector<size_t>{3}
                                                             : std::vector<size_t>{2, 3};
    EXPECT_EQ(done, passes) << batch_tokens;
  }
}

TEST(LogLikelihoods, OfChoicesAreThoseThatTransformersGivesByTheHarnessesRule) {
  ModelPaths paths;
  paths.path = TANREN_TEST_MODEL;
  const PretrainedModel model = ValueOrThrow(OpenPretrained(paths));
  const ResidentModel resident = ResidentModel::Load(model.model, model.read, at::kFloat);
  const auto questions =
      ValueOrThrow(ReadChoiceQuestions("tests/golden/multiple_choice/smollm2.jsonl", 0));
  ASSERT_GE(questions.size(), 6u);
  for (const ChoiceQuestion& question : questions) {
    const auto documents =
        ValueOrThrow(ChoiceDocuments(question, model.text.chat_template.get(),
                                     *model.text.tokenizer, model.config.max_position_embeddings));
    // Up to 8 log-probabilities, each of which may be off by 2e-5 of the largest logit, about 25.
    EXPECT_THAT(LogLikelihoods(resident, documents, 64),
                testing::Pointwise(testing::DoubleNear(1e-3),
                                   question.request["logprobs"].get<std::vector<double>>()))
        << question.where;
  }
}

TEST(Choose, TakesTheLikeliestAndTheLikeliestAByte) {
  const std::vector<std::string> choices = {"ab", " abcdefgh ", "日本"};
  ChosenIndices chosen = Choose(choices, std::vector<double>{-4, -9, -7.2});
  EXPECT_EQ(chosen.by_sum, 0u);
  EXPECT_EQ(chosen.by_mean, 1u);  // −2, −9 / 8, −7.2 / 6: white space around doesn't count
  chosen = Choose(choices, std::vector<double>{-4, -4, -3});
  EXPECT_EQ(chosen.by_sum, 2u);
  chosen = Choose(choices, std::vector<double>{-2, -8, -6});
  EXPECT_EQ(chosen.by_mean, 0u);  // the first among equals
}

}  // namespace
}  // namespace tanren::trainer
