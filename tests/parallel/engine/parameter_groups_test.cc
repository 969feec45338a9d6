#include "parallel/engine/parameter_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/error.h"
#include "tests/parallel/engine/toy_model.h"

namespace tanren::parallel {
namespace {

using testing::ElementsAre;

TEST(ParameterGroups, ATiedEmbeddingIsOneGroupOfTheFirstUnitAndTheHead) {
  const ToyModel model = MakeToyModel({.blocks = 2});
  const ParameterGroups plan = PlanParameterGroups(model.units, model.head);
  std::vector<std::string> names;
  for (const PlannedGroup& group : plan.groups) names.push_back(group.name);
  EXPECT_THAT(names, ElementsAre("embed+head", "layers.0", "layers.1", "norm"));
  EXPECT_THAT(plan.groups[0].users, ElementsAre(0, 4));
  EXPECT_THAT(plan.groups_of[4], ElementsAre(0));
  EXPECT_EQ(plan.places[1][2].group, 1);
  EXPECT_EQ(plan.places[1][2].index, 2);
}

TEST(ParameterGroups, FrozenParametersAreApart) {
  const ToyModel model = MakeToyModel({.blocks = 1, .tied = false, .frozen_units = 1});
  const ParameterGroups plan = PlanParameterGroups(model.units, model.head);
  EXPECT_EQ(plan.groups[0].name, "embed (frozen)");
  EXPECT_FALSE(plan.groups[0].trainable());
  EXPECT_TRUE(plan.groups[1].trainable());
}

TEST(ParameterGroups, SharersThatDisagreeAreAnError) {
  const ToyModel model = MakeToyModel({});
  std::vector<ParameterSpec> head = model.head;
  head[0].shape = {1, 2};
  try {
    PlanParameterGroups(model.units, head);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("embed and head disagree"));
    EXPECT_THAT(error.what(), testing::HasSubstr("embed.weight"));
  }
  head = {model.head[0], model.head[0]};
  EXPECT_THROW(PlanParameterGroups(model.units, head), Error);
}

}  // namespace
}  // namespace tanren::parallel
