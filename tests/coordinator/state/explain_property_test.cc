// What holds of every explanation, on random clusters.
#include <cstdio>
#include <map>
#include <string>

#include "gtest/gtest.h"
#include "tests/coordinator/state/random_cluster.h"

namespace tanren::coordinator {
namespace {

TEST(EveryExplanation, SaysStartsNowOfExactlyThoseThatStart) {
  int starting = 0, waiting = 0;
  ForEachPlan([&](const ClusterBuilder& builder, const Plan& plan) {
    for (uint64_t id : builder.cluster.pending) {
      const Explanation explanation = builder.Why(id);
      const bool starts = FindStart(plan, id) != nullptr;
      ++(starts ? starting : waiting);
      EXPECT_EQ(explanation.reason() == Explanation::STARTS_NOW, starts)
          << explanation.DebugString() << builder.cluster.jobs.at(id).DebugString();
      EXPECT_FALSE(explanation.text().empty());
    }
  });
  EXPECT_GT(starting, 500);
  EXPECT_GT(waiting, 500);
}

// Whoever follows an advice gets what it promises.
JobSpec Advised(const JobSpec& spec, const std::string& help, int& ranks) {
  JobSpec changed = spec;
  Role& role = *changed.mutable_roles(0);
  int64_t number = 0;
  if (sscanf(help.c_str(), "A --time-limit of at most %ldm", &number) == 1) {
    changed.set_time_limit_ms(number * kMinute);
  } else if (const size_t at = help.find("ower --gpus to "); at != std::string::npos) {
    ranks = std::stoi(help.substr(at + 15));
    role.set_ranks(ranks);
  } else if (const size_t at = help.find("ower --ranks to "); at != std::string::npos) {
    ranks = std::stoi(help.substr(at + 16));
    role.set_ranks(ranks);
  } else if (const size_t at = help.find("ower its ranks to "); at != std::string::npos) {
    ranks = std::stoi(help.substr(at + 18));
    role.set_ranks(ranks);
  }
  return changed;
}

TEST(EveryExplanation, GivesAdviceThatHelps) {
  std::map<Explanation::Reason, int> helped;
  int shorter = 0;
  ForEachPlan([&](const ClusterBuilder& builder, const Plan&) {
    for (uint64_t id : builder.cluster.pending) {
      JobSpec spec = builder.cluster.jobs.at(id).spec();
      spec.set_held(false);
      spec.clear_dependencies();
      const Explanation before = builder.WhyDry(spec, "u2");
      int ranks = 0;
      const JobSpec advised = Advised(spec, before.what_would_help(), ranks);
      if (advised.SerializeAsString() == spec.SerializeAsString()) continue;
      if (before.reason() == Explanation::QUOTA) continue;
      const Explanation after = builder.WhyDry(advised, "u2");
      const std::string what = before.ShortDebugString() + " then " + after.ShortDebugString();
      ++helped[before.reason()];
      switch (before.reason()) {
        case Explanation::WAITING:
        case Explanation::FRAGMENTED:
          EXPECT_EQ(after.reason(), Explanation::STARTS_NOW) << what;
          if (ranks == 0) ++shorter;
          break;
        case Explanation::DRAINED:
          EXPECT_NE(after.reason(), Explanation::DRAINED) << what;
          [[fallthrough]];
        default:
          EXPECT_NE(after.reason(), Explanation::NEVER_FITS) << what;
      }
    }
  });
  for (const auto reason : {Explanation::WAITING, Explanation::FRAGMENTED, Explanation::DRAINED,
                            Explanation::NEVER_FITS}) {
    EXPECT_GT(helped[reason], 20) << Explanation::Reason_Name(reason);
  }
  EXPECT_GT(shorter, 20);
}

TEST(EveryExplanation, OfADryRunIsThatOfTheSubmittedJob) {
  ForEachPlan([&](ClusterBuilder& builder, const Plan&) {
    if (builder.cluster.pending.empty()) return;
    const JobSpec spec = builder.job(*builder.cluster.pending.rbegin()).spec();
    const Explanation dry = builder.WhyDry(spec, "u1");
    ClusterBuilder after = builder;
    const uint64_t id = after.Submit(spec, "u1");
    EXPECT_EQ(Explanation::Reason_Name(dry.reason()),
              Explanation::Reason_Name(after.Why(id).reason()));
    EXPECT_EQ(dry.text(), after.Why(id).text());
  });
}

}  // namespace
}  // namespace tanren::coordinator
