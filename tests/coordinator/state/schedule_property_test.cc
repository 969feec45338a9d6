// What holds of every plan, on random clusters.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "coordinator/state/explain_fit.h"
#include "coordinator/state/schedule_limits.h"
#include "coordinator/state/schedule_order.h"
#include "coordinator/state/schedule_running.h"
#include "coordinator/state/usage.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/coordinator/state/random_cluster.h"

namespace tanren::coordinator {
namespace {

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

JobList HoldingOf(const Cluster& cluster) { return JobsOf(cluster, cluster.holding); }

std::vector<QueuedJob> QueueOf(const ClusterBuilder& builder) {
  const NodeTable nodes(builder.cluster);
  const Holders holders(HoldingOf(builder.cluster), nodes, builder.now);
  return Queue(builder.cluster, holders.use, builder.options, builder.now, nullptr, 0);
}

// What over-use costs the subjects of a prefix, summed up job by job.
std::map<std::string, double> PlainPenalties(const ClusterBuilder& builder, bool projects) {
  const Cluster& cluster = builder.cluster;
  const std::string prefix = projects ? "project/" : "user/";
  std::map<std::string, double> use;
  for (const auto& [id, job] : cluster.jobs) {
    const std::string name = projects ? job.spec().project() : job.user();
    if (name.empty() || IsTerminal(job.state())) continue;
    double& seconds = use[name];
    if (!HoldsNodes(job.state())) continue;
    seconds += static_cast<double>(TotalOf(job.spec()).gpus) *
               static_cast<double>(builder.now.wall_ms - job.attempt().placed_ms()) / 1000;
  }
  const auto share_of = [&](const std::string& name) {
    const auto quota = cluster.quotas.find(prefix + name);
    return quota == cluster.quotas.end() || quota->second.share() <= 0 ? 1 : quota->second.share();
  };
  double all_use = 0, all_shares = 0;
  for (auto& [name, seconds] : use) {
    if (const auto past = cluster.usage.find(prefix + name); past != cluster.usage.end()) {
      seconds += Decayed(past->second, builder.options.usage_half_life_ms, builder.now.wall_ms);
    }
    all_use += seconds;
    all_shares += share_of(name);
  }
  for (auto& [name, seconds] : use) {
    const double over = all_use > 0 ? seconds / all_use / (share_of(name) / all_shares) : 0;
    seconds = builder.options.fair_share_weight * (1 - std::exp2(-over));
  }
  return use;
}

TEST(EveryQueue, IsInTheOrderOfPriorityWaitingAndAPlainSumOfUse) {
  int queued_jobs = 0, penalized = 0;
  ForEachPlan([&](ClusterBuilder builder, const Plan&) {
    for (const char* subject : {"user/u0", "project/p1"}) {
      Usage& usage = builder.cluster.usage[subject];
      usage.set_subject(subject);
      usage.set_gpu_seconds(20'000);
      usage.set_at_ms(builder.now.wall_ms - builder.options.usage_half_life_ms / 2);
    }
    builder.SetQuota("user/u1", 0, 0, 3);
    std::map<std::string, double> users = PlainPenalties(builder, false);
    std::map<std::string, double> projects = PlainPenalties(builder, true);
    const QueuedJob* before = nullptr;
    const std::vector<QueuedJob> queue = QueueOf(builder);
    for (const QueuedJob& queued : queue) {
      const Job& job = *queued.job;
      double penalty = users.at(job.user());
      if (!job.spec().project().empty()) penalty = (penalty + projects[job.spec().project()]) / 2;
      const double waited = static_cast<double>(builder.now.wall_ms - job.submitted_ms()) /
                            static_cast<double>(builder.options.ageing_ms);
      EXPECT_NEAR(queued.priority, job.spec().priority() + waited - penalty, 1e-6);
      if (before != nullptr) {
        EXPECT_GE(before->priority, queued.priority);
      }
      before = &queued;
      ++queued_jobs;
      if (penalty > 1) ++penalized;
    }
  });
  EXPECT_GT(queued_jobs, 1000);
  EXPECT_GT(penalized, 500);
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
    const JobList holding = HoldingOf(builder.cluster);
    Limits limits(builder.cluster, holding, Holders(holding, nodes, builder.now).use);
    for (const PlannedStart& start : plan.starts) {
      limits.Start(builder.cluster.jobs.at(start.job));
    }
    for (const QueuedJob& queued : QueueOf(builder)) {
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

TEST(EveryPlan, StopsThoseThatLoseTheLeastAndNobodyWhoCouldBeSpared) {
  int preemptions = 0, alone = 0;
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
    const Holders holders(HoldingOf(builder.cluster), nodes, builder.now);
    const auto& running = holders.running;
    const auto& [beneficiary, stopped] = *victims.begin();
    const Shape& shape = shapes.Of(builder.cluster.jobs.at(beneficiary).spec());
    const auto fits_without = [&](uint64_t spared) {
      // Starts that came later in the pass were beside it, so they don't count.
      Board board(nodes, shapes, Board::Fill::kFreeNow);
      for (const RunningJob& one : running) {
        const uint64_t id = one.job->id();
        const bool stops = std::count(stopped.begin(), stopped.end(), id) > 0 && id != spared;
        if (!stops && !one.stopping) continue;
        for (const NodeShare& share : one.shares()) board.Give(share);
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
    // Nobody alone would have lost less and made room enough, as the board was before any start.
    int64_t loss = 0;
    for (const RunningJob& one : running) {
      if (std::count(stopped.begin(), stopped.end(), one.job->id()) > 0)
        loss += one.unsaved_gpu_ms();
    }
    for (const RunningJob& one : running) {
      if (!plan.starts.empty() || !one.may_be_stopped || one.unsaved_gpu_ms() >= loss ||
          one.job->spec().priority() >= builder.cluster.jobs.at(beneficiary).spec().priority()) {
        continue;
      }
      Board board(nodes, shapes, Board::Fill::kFreeNow);
      for (const NodeShare& share : one.shares()) board.Give(share);
      EXPECT_FALSE(Fits(shape, board)) << "job " << one.job->id() << " would have been enough";
      ++alone;
    }
    if (plan.starts.empty()) {
      for (uint64_t victim : stopped) {
        EXPECT_FALSE(fits_without(victim)) << "job " << victim << " could be spared";
        ++preemptions;
      }
    }
  });
  EXPECT_GT(preemptions, 5);
  EXPECT_GT(alone, 3);
}

// Everything runs to its limit from now on, and nothing else comes: whoever was promised a time
// starts by then, whatever was started beside.
TEST(EveryReservation, IsKept) {
  int kept = 0;
  for (uint64_t seed = 0; seed < kRandomClusters; ++seed) {
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
    for (const QueuedJob& queued : QueueOf(builder)) {
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

}  // namespace
}  // namespace tanren::coordinator
