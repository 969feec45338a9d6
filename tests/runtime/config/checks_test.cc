#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/runtime/config/reading.h"

namespace tanren {
namespace {

using ::testing::HasSubstr;

TEST(Checks, AContradictionNamesBothPlaces) {
  EXPECT_EQ(ProblemsOf("model: {path: m}\n"
                       "data: {sources: [{path: a}]}\n"
                       "training:\n  steps: 10\n  epochs: 2\n"),
            "r.yaml:4:3: training.steps: 10 contradicts training.epochs: 2 (r.yaml:5:3): give one "
            "of them");
  EXPECT_EQ(
      ProblemsOf(kComplete, {"optimizer.momentum=0.9"}),
      "--set optimizer.momentum=0.9: optimizer.momentum: 0.9 contradicts optimizer.kind: adamw "
      "(the default): adamw has beta1 and beta2 instead; momentum is of sgd");
}

struct Case {
  std::vector<std::string> overrides;
  // What the one problem says; empty: nothing is wrong.
  std::string problem;
};

TEST(Checks, EachPairThatContradictsItselfIsFoundAlone) {
  const std::vector<Case> cases = {
      {{"model.config=c.json", "model.tokenizer=t"}, "model.path: /"},
      {{"model.path=", "model.config=c.json"}, "model.config: "},
      {{"model.path=", "model.config=c.json", "model.tokenizer=t"}, ""},
      {{"model.path="}, "model.path is missing"},
      {{"data.sources=[]"}, "data.sources is missing"},
      {{"data.validation=[{path: v}]", "data.validation_fraction=0.1"}, "data.validation"},
      {{"data.sources=[{path: a, weight: 1}, {path: b}]"}, "data.sources[1].weight: 0 would never"},
      {{"data.chat_template_variables=[1]"}, "expected a JSON object"},
      {{"data.chat_template_variables={\"a\": 1}"}, ""},
      {{"training.steps=0"}, "neither training.steps nor training.epochs"},
      {{"training.steps=0", "training.epochs=0.5"}, ""},
      {{"training.micro_batch_rows=9"}, "training.micro_batch_rows: 9 contradicts"},
      {{"optimizer.initial_loss_scale=8"}, "only fp16 scales"},
      {{"optimizer.initial_loss_scale=8", "training.precision=fp16"}, ""},
      {{"optimizer.nesterov=true"}, "nesterov is of sgd"},
      {{"optimizer.nesterov=true", "optimizer.kind=sgd"}, "nesterov needs a momentum"},
      {{"optimizer.nesterov=true", "optimizer.kind=sgd", "optimizer.momentum=0.9"}, ""},
      {{"optimizer.kind=sgd", "optimizer.beta2=0.99"}, "optimizer.beta2: 0.99 contradicts"},
      {{"optimizer.warmup_steps=1", "optimizer.warmup_ratio=0.1"}, "give one of them"},
      {{"optimizer.warmup_steps=10"}, "has to end before the training"},
      {{"optimizer.warmup_steps=9"}, ""},
      {{"optimizer.warmup_steps=9", "optimizer.schedule=wsd"}, "before the decay begins"},
      {{"optimizer.warmup_ratio=0.9", "optimizer.schedule=wsd"}, "may be 1 at most"},
      {{"optimizer.warmup_ratio=1"}, "expected below 1"},
      {{"optimizer.decay_ratio=0.5"}, "only wsd"},
      {{"optimizer.decay_ratio=0.5", "optimizer.schedule=wsd"}, ""},
      {{"optimizer.final_ratio=0.1", "optimizer.schedule=constant"}, "a constant rate"},
      {{"optimizer.final_ratio=0.1"}, ""},
      {{"name=a/b"}, "the name of a folder"},
      {{"evaluation.every_steps=5"}, "give data.validation or"},
      {{"evaluation.every_steps=5", "data.validation_fraction=0.1"}, ""},
      {{"checkpoint.keep_best=1", "checkpoint.every_steps=5"}, "evaluation.every_steps: 0"},
      {{"checkpoint.keep_best=1", "evaluation.every_steps=5", "data.validation_fraction=0.1"},
       "checkpoint.every_steps: 0"},
      {{"evaluation.max_questions=5"}, "there are no questions"},
      {{"evaluation.answer_after=x"}, "there are no questions"},
      {{"evaluation.max_choices=5"}, "there are no questions"},
      {{"evaluation.max_choices=5", "evaluation.choices=c.jsonl"}, ""},
      {{"generation.top_p=0.9"}, "the likeliest token"},
      {{"generation.top_k=9"}, "the likeliest token"},
      {{"generation.top_k=9", "generation.temperature=0.5"}, ""},
      {{"generation.min_p=0.1"}, "the likeliest token"},
      {{"generation.min_p=0.1", "generation.temperature=0.5"}, ""},
      {{"generation.repetition_penalty=1.1"}, ""},
      {{"generation.min_p=1.5"}, "expected a number from 0 to 1"},
      {{"generation.repetition_penalty=0"}, "expected a number from 0.001 to 1000"},
      {{"parallel.progress_thread=true", "parallel.backend=nccl"}, "it is for MPI"},
  };
  for (const Case& one : cases) {
    const std::string problems = ProblemsOf(kComplete, one.overrides);
    if (one.problem.empty()) {
      EXPECT_EQ(problems, "") << one.overrides.front();
    } else {
      EXPECT_THAT(problems, HasSubstr(one.problem)) << one.overrides.front();
      EXPECT_EQ(problems.find('\n'), std::string::npos) << problems;
    }
  }
}

TEST(Checks, NothingIsConcludedFromWhatIsWrongAlready) {
  // Perhaps the misspelt key was the missing one.
  EXPECT_EQ(ProblemsOf("model: {path: m}\ndata: {sources: [{path: a}]}\ntraining: {stepz: 5}\n"),
            "r.yaml:3:12: unknown key \"stepz\" in training; did you mean \"steps\"?");
  // Without a kind nobody knows whether momentum is wrong.
  EXPECT_EQ(ProblemsOf(std::string(kComplete) + "optimizer: {kind: SGD, momentum: 0.9}\n"),
            "r.yaml:4:19: optimizer.kind: found \"SGD\", expected one of: adamw, sgd");
}

}  // namespace
}  // namespace tanren
