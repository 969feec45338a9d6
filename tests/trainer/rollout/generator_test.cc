#include "trainer/rollout/generator.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "trainer/model/pretrained.h"
#include "trainer/rollout/prompt.h"

namespace tanren::trainer {
namespace {

// SmolLM2 in fp32, opened once.
class GeneratorTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ModelPaths paths;
    paths.path = TANREN_TEST_MODEL;
    model_ = new PretrainedModel(ValueOrThrow(OpenPretrained(paths)));
    resident_ = new ResidentModel(ResidentModel::Load(model_->model, model_->read, at::kFloat));
  }
  static void TearDownTestSuite() {
    delete resident_;
    delete model_;
  }

  static Generator Make(int batch_size) {
    return Generator(*resident_, *model_->text.tokenizer,
                     {model_->end_tokens, model_->config.max_position_embeddings, batch_size});
  }
  static GenerationRequest Ask(const std::string& question, int64_t max_new_tokens) {
    GenerationRequest request;
    request.prompt = ValueOrThrow(PromptOfConversation({{{"role", "user"}, {"content", question}}},
                                                       nullptr, model_->text.chat_template.get(),
                                                       *model_->text.tokenizer));
    request.max_new_tokens = max_new_tokens;
    return request;
  }

  static PretrainedModel* model_;
  static ResidentModel* resident_;
};
PretrainedModel* GeneratorTest::model_ = nullptr;
ResidentModel* GeneratorTest::resident_ = nullptr;

TEST_F(GeneratorTest, GreedyAnswersAreTransformersTokenForToken) {
  std::ifstream file("tests/golden/llama/smollm2.json");
  const nlohmann::json golden = nlohmann::json::parse(file);
  std::vector<GenerationRequest> requests;
  for (const nlohmann::json& answer : golden["answers"]) {
    requests.push_back(Ask(answer["question"], 32));
    EXPECT_EQ(requests.back().prompt, answer["prompt"].get<std::vector<int32_t>>());
  }
  // Unequal prompts side by side, and one after another.
  for (int batch_size : {3, 1, 2}) {
    const std::vector<Generation> answers = Make(batch_size).Generate(requests);
    for (size_t i = 0; i < answers.size(); ++i) {
      EXPECT_EQ(answers[i].ids, golden["answers"][i]["ids"].get<std::vector<int32_t>>())
          << "batch size " << batch_size;
    }
  }
}

TEST_F(GeneratorTest, AnEndTokenStopsAndIsNotInTheText) {
  const GenerationRequest request = Ask("What is the capital of France?", 32);
  const Generation answer = Make(1).Generate({&request, 1}).front();
  EXPECT_EQ(answer.text, "The capital of France is Paris.");
  EXPECT_EQ(answer.finish_reason, FinishReason::kStop);
  EXPECT_EQ(answer.ids.back(), 2);
}

TEST_F(GeneratorTest, TheLengthLimitIsTheOtherReason) {
  const GenerationRequest request = Ask("What is the capital of France?", 3);
  const Generation answer = Make(1).Generate({&request, 1}).front();
  EXPECT_EQ(answer.ids.size(), 3u);
  EXPECT_EQ(answer.finish_reason, FinishReason::kLength);
}

TEST_F(GeneratorTest, ACharacterThatTheLimitCutsInTwoIsLeftOut) {
  const text::Tokenizer& tokenizer = *model_->text.tokenizer;
  const std::vector<int32_t> crane = tokenizer.Encode("鶴", text::SpecialTokens::kPlainText);
  ASSERT_GT(crane.size(), 1u) << "the character is one token here";
  GenerationRequest request = Ask("Hi", 1);
  request.sampling.logit_bias = {{crane.front(), 1e6f}};
  Generation answer = Make(1).Generate({&request, 1}).front();
  EXPECT_EQ(answer.ids, std::vector<int32_t>{crane.front()});
  EXPECT_EQ(answer.text, "");
  // What the model itself went on from is its text, torn or not.
  request.max_new_tokens = 2;
  answer = Make(1).Generate({&request, 1}).front();
  EXPECT_EQ(answer.ids.size(), 2u);
  EXPECT_EQ(answer.text, "\uFFFD");
}

TEST_F(GeneratorTest, AStopStringEndsTheTextBeforeIt) {
  GenerationRequest request = Ask("What is the capital of France?", 32);
  request.stop = {" is Pa"};
  const Generation answer = Make(1).Generate({&request, 1}).front();
  EXPECT_EQ(answer.text, "The capital of France");
  EXPECT_EQ(answer.finish_reason, FinishReason::kStop);
}

TEST_F(GeneratorTest, WhatIsStreamedIsTheText) {
  const std::vector<GenerationRequest> requests = {Ask("日本の首都はどこですか？", 12),
                                                   Ask("Name a color.", 6), Ask("Hi", 0)};
  std::vector<std::string> streamed(3);
  std::vector<int> finished(3);
  Generator::Listener listener;
  listener.text = [&](size_t request, std::string_view piece) { streamed[request] += piece; };
  listener.finished = [&](size_t request, const Generation&) { ++finished[request]; };
  const std::vector<Generation> answers = Make(2).Generate(requests, listener);
  for (size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(streamed[i], answers[i].text);
  EXPECT_THAT(finished, testing::Each(1));
  EXPECT_TRUE(answers[2].ids.empty());
}

TEST_F(GeneratorTest, SamplesDependOnTheirSeedAndNotOnTheirNeighbours) {
  std::vector<GenerationRequest> requests(3, Ask("Tell me a story.", 8));
  for (uint32_t i = 0; i < 3; ++i) {
    requests[i].sampling.temperature = 1;
    requests[i].sequence = i;
  }
  const std::vector<Generation> together = Make(3).Generate(requests);
  const Generation alone = Make(1).Generate({&requests[1], 1}).front();
  EXPECT_EQ(alone.ids, together[1].ids);
  EXPECT_NE(together[0].ids, together[1].ids);
}

TEST_F(GeneratorTest, ARepetitionPenaltyIsForThePromptAndForWhatWasGenerated) {
  GenerationRequest request = Ask("Write about the sea, the sea and the sea.", 40);
  const auto repeated = [&](const Generation& answer) {
    std::set<int32_t> seen(request.prompt.begin(), request.prompt.end());
    int64_t count = 0;
    for (int32_t id : answer.ids) count += seen.insert(id).second ? 0 : 1;
    return count;
  };
  EXPECT_GT(repeated(Make(1).Generate({&request, 1}).front()), 0);
  // Of any token that has come, next to nothing of a positive logit is left.
  request.sampling.repetition_penalty = 1000;
  EXPECT_EQ(repeated(Make(1).Generate({&request, 1}).front()), 0);
}

TEST_F(GeneratorTest, APromptThatFillsAllPositionsIsRefused) {
  GenerationRequest request;
  EXPECT_THROW(Make(1).Generate({&request, 1}), Error);
  request.prompt.assign(model_->config.max_position_embeddings, 5);
  EXPECT_THROW(Make(1).Generate({&request, 1}), Error);
}

}  // namespace
}  // namespace tanren::trainer
