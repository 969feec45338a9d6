// What holds of every plan, on random clusters.
#include <algorithm>
#include <map>
#include <set>

#include "coordinator/state/explain_fit.h"
#include "coordinator/state/schedule_limits.h"
#include "coordinator/state/schedule_order.h"
#include "coordinator/state/schedule_running.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/coordinator/state/random_cluster.h"

namespace tanren::coordinator {
namespace {

constexpr int kSeeds = 400;

// Calls `check` with clusters of all seeds at several moments of their lives, and the plan there.
template <typename Check>
void ForEachPlan(Check check) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    RandomCluster random(seed);
    for (int moment = 0; moment < 3; ++moment) {
      SCOPED_TRACE(testing::Message() << "moment " << moment);
      const Plan plan = random.builder.Pass();
      check(random.builder, plan);
      if (testing::Test::HasFailure()) return;
      random.builder.Follow(plan);
      random.Live();
    }
  }
}

std::string Text(const Plan& plan) {
  std::string text;
  for (const PlannedStart& start : plan.starts) {
    text += "start " + std::to_string(start.job) + "\n";
    for (const Placement& placement : start.placements) text += placement.DebugString();
  }
  for (const PlannedPreemption& one : plan.preemptions) {
    text += "stop " + std::to_string(one.victim) + " for " + std::to_string(one.beneficiary) + "\n";
  }
  for (const Reservation& one : plan.reservations) {
    text += "keep for " + std::to_string(one.job) + " from " + std::to_string(one.start_ms);
    for (const std::string& node : one.nodes) text += " " + node;
    text += "\n";
  }
  return text;
}

TEST(EveryPlan, IsWholeAndNeverTakesMoreThanThereIs) {
  int starts = 0;
  ForEachPlan([&](const ClusterBuilder& builder, const Plan& plan) {
    EXPECT_EQ(WhatIsWrong(builder.cluster, plan), "");
    starts += static_cast<int>(plan.starts.size());
  });
  EXPECT_GT(starts, 1000) << "the test must see something";
}

TEST(EveryPlan, IsTheSameForTheSameCluster) {
  ForEachPlan([&](const ClusterBuilder& builder, const Plan& plan) {
    const Cluster copy = builder.cluster;
    EXPECT_EQ(Text(Schedule(copy, builder.options, builder.now)), Text(plan));
  });
}

TEST(EveryPlan, StartsNobodyWhoMustWait) {
  ForEachPlan([&](const ClusterBuilder& builder, const Plan& plan) {
    for (const PlannedStart& start : plan.starts) {
      const Job& job = builder.cluster.jobs.at(start.job);
      EXPECT_FALSE(job.held());
      EXPECT_LE(job.not_before_ms(), builder.now.wall_ms);
      EXPECT_TRUE(DependenciesMet(builder.cluster, job));
    }
  });
}

TEST(EveryPlan, KeepsToQuotasAndArrayBounds) {
  int bounded = 0;
  ForEachPlan([&](const ClusterBuilder& builder, const Plan& plan) {
    std::map<std::string, Amount> held;
    std::map<std::string, int> jobs;
    std::map<uint64_t, int> arrays;
    const auto count = [&](const Job& job) {
      for (const std::string& subject : {"user/" + job.user(), "project/" + job.spec().project()}) {
        held[subject] += TotalOf(job.spec());
        ++jobs[subject];
      }
      ++arrays[job.array()];
    };
    for (uint64_t id : builder.cluster.holding) count(builder.cluster.jobs.at(id));
    for (const PlannedStart& start : plan.starts) count(builder.cluster.jobs.at(start.job));
    for (const auto& [subject, quota] : builder.cluster.quotas) {
      const auto bound = [](int64_t limit) { return limit > 0 ? limit : int64_t{1} << 60; };
      EXPECT_LE(held[subject].gpus, bound(quota.gpus())) << subject;
      EXPECT_LE(jobs[subject], bound(quota.running_jobs())) << subject;
      ++bounded;
    }
    for (const PlannedStart& start : plan.starts) {
      const Job& job = builder.cluster.jobs.at(start.job);
      if (job.array() == 0) continue;
      EXPECT_LE(arrays[job.array()], job.spec().array_running());
    }
  });
  EXPECT_GT(bounded, 100);
}

// What a plan leaves free, without what is kept back.
Board Rest(const ClusterBuilder& builder, const Plan& plan, const NodeTable& nodes,
           const ShapeTable& shapes) {
  Board board(nodes, shapes, Board::Fill::kFreeNow);
  for (const PlannedStart& start : plan.starts) {
    for (const Placement& placement : start.placements) {
      const int node = nodes.Find(placement.node());
      if (node < 0) continue;
      board.Take(
          {node,
           nodes.Bits(node, {placement.gpus().data(), static_cast<size_t>(placement.gpus_size())}),
           AmountOf(placement.total())},
          true);
    }
  }
  return board;
}

TEST(EveryPlan, LeavesNobodyOutWhoFitsUnlessRoomIsKeptOrALimitReached) {
  int left_out = 0;
  ForEachPlan([&](const ClusterBuilder& builder, const Plan& plan) {
    if (!plan.reservations.empty() || !plan.preemptions.empty()) return;
    for (uint64_t id : builder.cluster.holding) {
      if (builder.cluster.jobs.at(id).state() == STOPPING) return;
    }
    const NodeTable nodes(builder.cluster);
    ShapeTable shapes(nodes);
    Board rest = Rest(builder, plan, nodes, shapes);
    Limits limits(builder.cluster);
    for (const PlannedStart& start : plan.starts) {
      limits.Start(builder.cluster.jobs.at(start.job));
    }
    for (const QueuedJob& queued :
         Queue(builder.cluster, builder.options, builder.now, nullptr, 0)) {
      const Job& job = *queued.job;
      if (FindStart(plan, job.id()) != nullptr || job.spec().launcher() == "slurm") continue;
      if (limits.Broken(job, false)) continue;
      ++left_out;
      EXPECT_FALSE(Fits(shapes.Of(job.spec()), rest)) << job.DebugString();
    }
  });
  EXPECT_GT(left_out, 50);
}

// A single role fits exactly if the nodes' capacities add up: counted here without any index.
TEST(EveryPlan, FindsAPlaceForASingleRoleWheneverThereIsOne) {
  int full = 0, room = 0;
  ForEachPlan([&](const ClusterBuilder& builder, const Plan& plan) {
    const NodeTable nodes(builder.cluster);
    ShapeTable shapes(nodes);
    Board rest = Rest(builder, plan, nodes, shapes);
    for (const auto& [id, job] : builder.cluster.jobs) {
      const Shape& shape = shapes.Of(job.spec());
      if (!shape.single_role()) continue;
      int64_t capacity = 0;
      for (int node = 0; node < nodes.size(); ++node) {
        const std::map<std::string, std::string> labels(job.spec().node_labels().begin(),
                                                        job.spec().node_labels().end());
        const bool excluded =
            std::count(job.spec().excluded_nodes().begin(), job.spec().excluded_nodes().end(),
                       nodes[node].node->name()) > 0;
        if (!nodes[node].usable || excluded || !HasLabels(*nodes[node].node, labels)) continue;
        capacity += RanksThatFit(shape.roles[0], rest.free()[node]);
      }
      const bool fits = capacity >= shape.roles[0].ranks;
      ++(fits ? room : full);
      EXPECT_EQ(Fits(shape, rest), fits) << job.spec().DebugString();
    }
  });
  EXPECT_GT(full, 500);
  EXPECT_GT(room, 500);
}

TEST(EveryPlan, StopsNobodyWhoCouldBeSpared) {
  int preemptions = 0;
  ForEachPlan([&](const ClusterBuilder& builder, const Plan& plan) {
    EXPECT_TRUE(plan.preemptions.empty() || builder.options.preemption);
    std::map<uint64_t, std::vector<uint64_t>> victims;
    for (const PlannedPreemption& one : plan.preemptions) {
      victims[one.beneficiary].push_back(one.victim);
    }
    // Where others wait for the same room too, no simple count says what is needed.
    if (victims.size() != 1 || builder.options.reservations > 1) return;
    for (uint64_t id : builder.cluster.holding) {
      if (builder.cluster.jobs.at(id).state() == STOPPING) return;
    }
    const NodeTable nodes(builder.cluster);
    ShapeTable shapes(nodes);
    const auto running = RunningJobs(builder.cluster, nodes, builder.now);
    const auto& [beneficiary, stopped] = *victims.begin();
    const Shape& shape = shapes.Of(builder.cluster.jobs.at(beneficiary).spec());
    const auto fits_without = [&](uint64_t spared) {
      // Starts that came later in the pass were beside it, so they don't count.
      Board board(nodes, shapes, Board::Fill::kFreeNow);
      for (const RunningJob& one : running) {
        const uint64_t id = one.job->id();
        const bool stops = std::count(stopped.begin(), stopped.end(), id) > 0 && id != spared;
        if (!stops && !one.stopping) continue;
        for (const NodeShare& share : one.shares) board.Give(share);
      }
      for (const PlannedStart& start : plan.starts) {
        for (const Placement& placement : start.placements) {
          const int node = nodes.Find(placement.node());
          if (node < 0) continue;
          NodeShare share{node, 0, AmountOf(placement.total())};
          board.Take(share, true);
        }
      }
      return Fits(shape, board);
    };
    EXPECT_TRUE(fits_without(0)) << "they are stopped in vain";
    if (plan.starts.empty()) {
      for (uint64_t victim : stopped) {
        EXPECT_FALSE(fits_without(victim)) << "job " << victim << " could be spared";
        ++preemptions;
      }
    }
  });
  EXPECT_GT(preemptions, 5);
}

// Everything runs to its limit from now on, and nothing else comes: whoever was promised a time
// starts by then, whatever was started beside.
TEST(EveryReservation, IsKept) {
  int kept = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    RandomCluster random(seed);
    ClusterBuilder& builder = random.builder;
    // No quota changes what may start in the meantime, and nobody grows more important by waiting.
    builder.cluster.quotas.clear();
    builder.options.ageing_ms = 0;
    builder.options.fair_share_weight = 0;
    builder.options.preemption = false;
    builder.options.reservations = 1;
    const std::vector<uint64_t> holding(builder.cluster.holding.begin(),
                                        builder.cluster.holding.end());
    for (uint64_t id : holding) {
      if (builder.job(id).state() == STOPPING) builder.End(id, PENDING);
    }
    Plan plan = builder.Pass();
    if (plan.reservations.size() != 1 || plan.reservations[0].start_ms == 0) continue;
    const Reservation promise = plan.reservations[0];
    if (builder.job(promise.job).spec().roles_size() > 1) continue;  // packed by a heuristic
    // Whoever is before it, and waits for something else than room, stays where it is.
    for (const QueuedJob& queued :
         Queue(builder.cluster, builder.options, builder.now, nullptr, 0)) {
      if (queued.job->id() == promise.job) break;
      if (FindStart(plan, queued.job->id()) == nullptr)
        builder.job(queued.job->id()).set_held(true);
    }
    for (uint64_t id : builder.cluster.pending) {
      Job& job = builder.job(id);
      if (job.not_before_ms() > builder.now.wall_ms || !DependenciesMet(builder.cluster, job)) {
        job.set_held(true);
      }
    }
    builder.Follow(plan);
    while (builder.job(promise.job).state() == PENDING && builder.now.wall_ms < promise.start_ms) {
      int64_t next = promise.start_ms;
      for (uint64_t id : builder.cluster.holding) {
        const Job& job = builder.job(id);
        const int64_t limit = job.spec().time_limit_ms();
        if (limit > 0) {
          next = std::min(next, std::max(builder.now.wall_ms, job.attempt().running_ms() + limit));
        }
      }
      builder.Wait(next - builder.now.wall_ms);
      const std::vector<uint64_t> running(builder.cluster.holding.begin(),
                                          builder.cluster.holding.end());
      for (uint64_t id : running) {
        const Job& job = builder.job(id);
        const int64_t limit = job.spec().time_limit_ms();
        if (limit > 0 && job.attempt().running_ms() + limit <= builder.now.wall_ms) {
          builder.End(id, CANCELLED);
        }
      }
      plan = builder.Pass();
      ASSERT_EQ(WhatIsWrong(builder.cluster, plan), "");
      builder.Follow(plan);
    }
    const Job& job = builder.job(promise.job);
    EXPECT_EQ(job.state(), RUNNING)
        << "promised from " << promise.start_ms - kStart << " ms after the start";
    ++kept;
  }
  EXPECT_GT(kept, 30);
}

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
