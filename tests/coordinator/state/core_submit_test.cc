// Submissions: once, whole, and only what may be.
#include "coordinator/state/spec_check.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/coordinator/state/core_driver.h"

namespace tanren::coordinator {
namespace {

using ::testing::HasSubstr;

TEST(CoreSubmit, TheSameRequestGivesTheSameAnswerAndMakesOneJob) {
  CoreDriver driver;
  ASSERT_TRUE(driver.Submit(CoreDriver::Spec(), "once").ok());
  const std::vector<uint64_t> jobs = driver.outcome.jobs;
  ASSERT_TRUE(driver.Submit(CoreDriver::Spec(), "once").ok());
  EXPECT_EQ(driver.outcome.jobs, jobs);
  EXPECT_TRUE(driver.outcome.commit.empty());
  driver.Restart();
  ASSERT_TRUE(driver.Submit(CoreDriver::Spec(), "once").ok());
  EXPECT_EQ(driver.outcome.jobs, jobs);
  ASSERT_TRUE(driver.Submit(CoreDriver::Spec(), "once", "bob").ok());
  EXPECT_NE(driver.outcome.jobs, jobs) << "ids are each user's own";
}

TEST(CoreSubmit, AskForAPassButNotBeforeAHeldJobIsReleased) {
  CoreDriver driver;
  driver.AddNode("a");
  driver.Wait(20'000, {"a"});
  JobSpec held = CoreDriver::Spec();
  held.set_held(true);
  driver.SubmitOne(held);
  driver.Step(TickInput{});  // the first pass for a long time is due with the first job that waits
  driver.Wait(100);
  const int64_t soon = driver.now.steady_ms + driver.options.schedule_every_ms;
  const uint64_t job = driver.SubmitOne(held);
  EXPECT_GT(driver.core->NextTick(), soon);
  ASSERT_TRUE(driver.Change(ChangeJobInput::Kind::kRelease, job).ok());
  EXPECT_LE(driver.core->NextTick(), soon);
  driver.Step(TickInput{});
  driver.Wait(1'000, {"a"});
  driver.Step(TickInput{});
  driver.SubmitOne();
  EXPECT_LE(driver.core->NextTick(), driver.now.steady_ms + driver.options.schedule_every_ms);
}

TEST(CoreSubmit, ARequestIsRememberedWhenItsJobIsForgotten) {
  CoreOptions options = CoreDriver::Options();
  options.keep_ended_jobs = 0;
  CoreDriver driver(options);
  driver.AddNode("a");
  ASSERT_TRUE(driver.Submit(CoreDriver::Spec(), "once").ok());
  const std::vector<uint64_t> jobs = driver.outcome.jobs;
  driver.Cancel(jobs[0]);
  driver.Wait(7'000, {"a"});
  ASSERT_TRUE(driver.core->cluster().jobs.empty());
  driver.Restart();
  ASSERT_TRUE(driver.Submit(CoreDriver::Spec(), "once").ok());
  EXPECT_EQ(driver.outcome.jobs, jobs);
}

TEST(CoreSubmit, ARequestIsRememberedForItsTimeAndIsThenANewOne) {
  CoreOptions options = CoreDriver::Options();
  options.keep_requests_ms = 60'000;
  CoreDriver driver(options);
  driver.AddNode("a");
  ASSERT_TRUE(driver.Submit(CoreDriver::Spec(), "once").ok());
  const std::vector<uint64_t> jobs = driver.outcome.jobs;
  driver.Wait(58'000, {"a"});
  driver.Restart();
  ASSERT_TRUE(driver.Submit(CoreDriver::Spec(), "once").ok());
  EXPECT_EQ(driver.outcome.jobs, jobs);
  driver.Wait(4'000, {"a"});
  EXPECT_TRUE(driver.core->cluster().requests.empty());
  driver.Restart();
  ASSERT_TRUE(driver.Submit(CoreDriver::Spec(), "once").ok());
  EXPECT_NE(driver.outcome.jobs, jobs);
}

TEST(CoreSubmit, BeyondSoManyTheOldestRequestsGoButNoneBeforeAnHour) {
  CoreOptions options = CoreDriver::Options();
  options.keep_requests = 2;
  options.keep_requests_at_least_ms = 20'000;
  CoreDriver driver(options);
  driver.AddNode("a");
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(driver.Submit(CoreDriver::Spec(), fmt::format("request-{}", i)).ok());
    driver.Wait(1'000, {"a"});
  }
  driver.Wait(10'000, {"a"});
  EXPECT_EQ(driver.core->cluster().requests.size(), 5u);
  driver.Wait(12'000, {"a"});
  EXPECT_EQ(driver.core->cluster().requests.size(), 2u);
  EXPECT_TRUE(driver.core->cluster().requests.contains("alice/request-4"));
}

TEST(CoreSubmit, AnArraysRequestIsOneAndGoesWhole) {
  CoreOptions options = CoreDriver::Options();
  options.keep_requests_ms = 60'000;
  CoreDriver driver(options);
  driver.AddNode("a");
  JobSpec spec = CoreDriver::Spec();
  spec.set_array_size(20);
  ASSERT_TRUE(driver.Submit(spec, "array").ok());
  EXPECT_EQ(driver.core->cluster().requests_by_time.size(), 1u);
  driver.Wait(62'000, {"a"});
  EXPECT_TRUE(driver.core->cluster().requests.empty());
  EXPECT_TRUE(driver.core->cluster().requests_by_time.empty());
}

TEST(CoreSubmit, TheSameIdWithAnotherRequestIsAnError) {
  CoreDriver driver;
  ASSERT_TRUE(driver.Submit(CoreDriver::Spec(), "once").ok());
  const uint64_t job = driver.outcome.jobs[0];
  const absl::Status status = driver.Submit(CoreDriver::Spec(2), "once");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("another request"));
  EXPECT_FALSE(driver.Change(ChangeJobInput::Kind::kHold, job, "alice", false, "once").ok());
  EXPECT_FALSE(driver.job(job).held());
}

TEST(CoreSubmit, AChangeThatIsSentTwiceIsMadeOnce) {
  CoreDriver driver;
  const uint64_t job = driver.SubmitOne();
  ASSERT_TRUE(driver.Change(ChangeJobInput::Kind::kHold, job, "alice", false, "hold").ok());
  ASSERT_TRUE(driver.Change(ChangeJobInput::Kind::kRelease, job).ok());
  ASSERT_TRUE(driver.Change(ChangeJobInput::Kind::kHold, job, "alice", false, "hold").ok());
  EXPECT_FALSE(driver.job(job).held());
}

TEST(CoreSubmit, AnArrayIsOneJobForEachIndex) {
  CoreDriver driver;
  JobSpec spec = CoreDriver::Spec();
  spec.set_array_size(3);
  ASSERT_TRUE(driver.Submit(spec, "array").ok());
  ASSERT_EQ(driver.outcome.jobs.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    const Job& job = driver.job(driver.outcome.jobs[i]);
    EXPECT_EQ(job.array(), driver.outcome.jobs[0]);
    EXPECT_EQ(job.array_index(), i);
  }
  const std::vector<uint64_t> jobs = driver.outcome.jobs;
  ASSERT_TRUE(driver.Submit(spec, "array").ok());
  EXPECT_EQ(driver.outcome.jobs, jobs);
}

struct DependencyCase {
  Dependency::Kind kind;
  AttemptEnd::Kind end;
  JobState becomes;
};

class CoreDependency : public ::testing::TestWithParam<DependencyCase> {};

TEST_P(CoreDependency, ThatCanNeverHoldCancelsTheJobAndAllThatFollowFromIt) {
  CoreDriver driver;
  driver.AddNode("a");
  const uint64_t first = driver.SubmitOne();
  JobSpec spec = CoreDriver::Spec();
  spec.add_dependencies()->set_job(first);
  spec.mutable_dependencies(0)->set_kind(GetParam().kind);
  const uint64_t second = driver.SubmitOne(spec);
  spec.mutable_dependencies(0)->set_job(second);
  spec.mutable_dependencies(0)->set_kind(Dependency::AFTER_SUCCESS);
  const uint64_t third = driver.SubmitOne(spec);
  driver.Run(first, {"a"});
  driver.SayEnded(first, "a", GetParam().end);
  EXPECT_EQ(driver.state(second), GetParam().becomes);
  EXPECT_EQ(driver.state(third), GetParam().becomes);
  if (GetParam().becomes == CANCELLED) {
    EXPECT_THAT(driver.job(second).end_message(), HasSubstr("job 1, which "));
  }
  // The same of one that is submitted only now.
  spec.mutable_dependencies(0)->set_job(first);
  spec.mutable_dependencies(0)->set_kind(GetParam().kind);
  EXPECT_EQ(driver.state(driver.SubmitOne(spec)), GetParam().becomes);
}

INSTANTIATE_TEST_SUITE_P(
    All, CoreDependency,
    ::testing::Values(DependencyCase{Dependency::AFTER_SUCCESS, AttemptEnd::FINISHED, PENDING},
                      DependencyCase{Dependency::AFTER_SUCCESS, AttemptEnd::USER_ERROR, CANCELLED},
                      DependencyCase{Dependency::AFTER_FAILURE, AttemptEnd::FINISHED, CANCELLED},
                      DependencyCase{Dependency::AFTER_FAILURE, AttemptEnd::USER_ERROR, PENDING},
                      DependencyCase{Dependency::AFTER_END, AttemptEnd::FINISHED, PENDING},
                      DependencyCase{Dependency::AFTER_END, AttemptEnd::USER_ERROR, PENDING}));

TEST(CoreSubmit, ALongChainOfDependantsIsCancelledWithoutEnd) {
  CoreDriver driver;
  driver.check_all = false;
  uint64_t last = driver.SubmitOne();
  const uint64_t first = last;
  for (int i = 0; i < 20'000; ++i) {
    JobSpec spec = CoreDriver::Spec();
    spec.add_dependencies()->set_job(last);
    last = driver.SubmitOne(spec);
  }
  ASSERT_TRUE(driver.Change(ChangeJobInput::Kind::kCancel, first).ok());
  EXPECT_EQ(driver.state(last), CANCELLED);
}

TEST(CoreSubmit, ADependencyOnAnUnknownJobIsAnError) {
  CoreDriver driver;
  JobSpec spec = CoreDriver::Spec();
  spec.add_dependencies()->set_job(7);
  EXPECT_THAT(std::string(driver.Submit(spec).message()), HasSubstr("job 7 doesn't exist"));
}

TEST(CoreSubmit, NoMoreJobsWaitThanTheQuotaAllows) {
  CoreDriver driver;
  Quota quota;
  quota.set_subject("project/vision");
  quota.set_pending_jobs(3);
  ASSERT_TRUE(driver.Step(SetQuotaInput{quota}).status.ok());
  JobSpec spec = CoreDriver::Spec();
  spec.set_project("vision");
  spec.set_array_size(2);
  ASSERT_TRUE(driver.Submit(spec).ok());
  EXPECT_EQ(driver.Submit(spec).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(driver.outcome.commit.empty()) << "half of an array was taken";
  spec.set_array_size(0);
  ASSERT_TRUE(driver.Submit(spec).ok());
  EXPECT_FALSE(driver.Submit(spec).ok());
  driver.Cancel(1);
  EXPECT_TRUE(driver.Submit(spec).ok());
}

TEST(CoreSubmit, NoMoreJobsWaitThanOneUserAndAllTogetherMayHave) {
  CoreOptions options = CoreDriver::Options();
  options.waiting_jobs = 5;
  options.waiting_jobs_of_user = 3;
  CoreDriver driver(options);
  JobSpec spec = CoreDriver::Spec();
  spec.set_array_size(3);
  ASSERT_TRUE(driver.Submit(spec).ok());
  spec.set_array_size(0);
  absl::Status refused = driver.Submit(spec);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(driver.outcome.commit.empty());
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("user/alice may have 3 jobs waiting: 3 wait, 1 more were submitted"));
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("tanren admin quota user/alice --waiting N"));
  // A quota of their own says more, or less.
  Quota quota;
  quota.set_subject("user/alice");
  quota.set_pending_jobs(4);
  ASSERT_TRUE(driver.Step(SetQuotaInput{quota}).status.ok());
  EXPECT_TRUE(driver.Submit(spec).ok());
  EXPECT_FALSE(driver.Submit(spec).ok());
  EXPECT_TRUE(driver.Submit(spec, "", "bob").ok());
  refused = driver.Submit(spec, "", "bob");
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("5 jobs may wait here, of all users together: 5 wait"));
  driver.Cancel(1);
  EXPECT_TRUE(driver.Submit(spec, "", "bob").ok());
}

TEST(CoreSubmit, AChangeOfAJobOfThePastSaysThatItWas) {
  CoreOptions options = CoreDriver::Options();
  options.keep_ended_jobs = 0;
  CoreDriver driver(options);
  const uint64_t job = driver.SubmitOne();
  driver.Cancel(job);
  driver.Step(TickInput{});
  ASSERT_EQ(driver.core->cluster().FindJob(job), nullptr);
  const auto cancel = [&](uint64_t number) {
    return driver.Change(ChangeJobInput::Kind::kCancel, number);
  };
  EXPECT_EQ(cancel(job).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(cancel(job).message()),
              HasSubstr("job 1 is of the past: it has ended and was forgotten"));
  for (const uint64_t never : {uint64_t{0}, job + 1}) {
    EXPECT_EQ(cancel(never).code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(std::string(cancel(never).message()), HasSubstr("no job has that number yet"));
  }
}

struct SpecCase {
  const char* says;  // in the error
  void (*change)(JobSpec&);
};

class SpecCheck : public ::testing::TestWithParam<SpecCase> {};

TEST_P(SpecCheck, NamesWhatIsWrong) {
  JobSpec spec = CoreDriver::Spec();
  ASSERT_TRUE(CheckSpec(spec, CoreDriver::Options()).ok());
  GetParam().change(spec);
  const absl::Status status = CheckSpec(spec, CoreDriver::Options());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    All, SpecCheck,
    ::testing::Values(
        SpecCase{"name: found \"\"", [](JobSpec& s) { s.clear_name(); }},
        SpecCase{"name: found \"a/b\"", [](JobSpec& s) { s.set_name("a/b"); }},
        SpecCase{"name: found \"-rf\"", [](JobSpec& s) { s.set_name("-rf"); }},
        SpecCase{"work: found nothing", [](JobSpec& s) { s.clear_command(); }},
        SpecCase{"command[0]", [](JobSpec& s) { s.mutable_command()->set_argv(0, "true"); }},
        SpecCase{"roles: found 0", [](JobSpec& s) { s.clear_roles(); }},
        SpecCase{"roles[0].ranks: found 0", [](JobSpec& s) { s.mutable_roles(0)->set_ranks(0); }},
        SpecCase{"roles[1].name", [](JobSpec& s) { *s.add_roles() = s.roles(0); }},
        SpecCase{"gpus: found -1",
                 [](JobSpec& s) { s.mutable_roles(0)->mutable_per_rank()->set_gpus(-1); }},
        SpecCase{"priority: found 1001", [](JobSpec& s) { s.set_priority(1001); }},
        SpecCase{"time_limit_ms: found -5", [](JobSpec& s) { s.set_time_limit_ms(-5); }},
        SpecCase{"array_size", [](JobSpec& s) { s.set_array_size(1 << 30); }},
        SpecCase{"folder", [](JobSpec& s) { s.set_folder("data"); }},
        SpecCase{"folder", [](JobSpec& s) { s.set_folder("/data/../etc"); }},
        SpecCase{"launcher: found \"ssh\"", [](JobSpec& s) { s.set_launcher("ssh"); }},
        SpecCase{"environment", [](JobSpec& s) { (*s.mutable_environment())["A=B"] = ""; }},
        SpecCase{"environment", [](JobSpec& s) { (*s.mutable_environment())["OMPI_X"] = ""; }},
        SpecCase{"slurm.qos", [](JobSpec& s) { (*s.mutable_slurm())["qos"] = "a b"; }},
        SpecCase{"slurm: found \"wrap\"", [](JobSpec& s) { (*s.mutable_slurm())["wrap"] = "x"; }},
        SpecCase{"dependencies: found job 0", [](JobSpec& s) { s.add_dependencies(); }}));

TEST(CoreSubmit, CommandsAreRunOnlyWhereTheyAreAllowed) {
  CoreOptions options = CoreDriver::Options();
  options.allow_commands = false;
  CoreDriver driver(options);
  EXPECT_EQ(driver.Submit(CoreDriver::Spec()).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(driver.core->cluster().jobs.empty());
}

}  // namespace
}  // namespace tanren::coordinator
