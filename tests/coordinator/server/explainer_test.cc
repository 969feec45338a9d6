// Explanations are made beside the loop, and still know all that was acknowledged.
#include "coordinator/server/explainer.h"

#include <future>
#include <memory>
#include <string>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/coordinator/server/coordinator_under_test.h"
#include "tests/patience.h"

namespace tanren::coordinator {
namespace {

using ::testing::HasSubstr;

grpc::Status Explain(const CoordinatorUnderTest& coordinator, uint64_t job,
                     Explanation& explanation) {
  JobRequest request;
  request.set_job(job);
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token(), 60);
  return coordinator.jobs()->Explain(&context, request, &explanation);
}

grpc::Status SubmitMany(const CoordinatorUnderTest& coordinator, const std::string& request_id,
                        int jobs, bool held, SubmitReply& reply) {
  SubmitRequest request;
  request.set_request_id(request_id);
  *request.mutable_spec() = SmallJob();
  request.mutable_spec()->set_array_size(jobs > 1 ? jobs : 0);
  request.mutable_spec()->set_held(held);
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token(), 60);
  return coordinator.jobs()->Submit(&context, request, &reply);
}

// A question that doesn't end before it is let go.
class SlowQuestion {
 public:
  explicit SlowQuestion(Explainer& explainer) {
    EXPECT_TRUE(explainer
                    .Ask([gates = gates_](const absl::Status&, const Cluster*) {
                      gates->begun.set_value();
                      gates->let_go.get_future().wait();
                    })
                    .ok());
  }
  void WaitUntilItIsAnswered() { gates_->begun.get_future().wait(); }
  void LetGo() { gates_->let_go.set_value(); }

 private:
  // The explainer's thread may stand in them when this is gone.
  struct Gates {
    std::promise<void> begun, let_go;
  };
  const std::shared_ptr<Gates> gates_ = std::make_shared<Gates>();
};

TEST(Explainer, KnowsWhatWasAcknowledgedBefore) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  for (int i = 0; i < 50; ++i) {
    SubmitReply submitted;
    ASSERT_TRUE(SubmitMany(coordinator, fmt::format("r{}", i), 1, i % 2 == 0, submitted).ok());
    Explanation explanation;
    const grpc::Status status = Explain(coordinator, submitted.jobs(0), explanation);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(explanation.reason(), i % 2 == 0 ? Explanation::HELD : Explanation::NEVER_FITS);
  }
}

TEST(Explainer, SaysOfAJobThatThereIsNotThatThereIsNone) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  Explanation explanation;
  const grpc::Status status = Explain(coordinator, 7, explanation);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST(Explainer, GoesOnWhenMoreHappenedThanIsKept) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  SubmitReply before, many;
  ASSERT_TRUE(SubmitMany(coordinator, "before", 1, true, before).ok());
  Explanation explanation;
  ASSERT_TRUE(Explain(coordinator, before.jobs(0), explanation).ok());
  // One commit of more events than the loop keeps.
  ASSERT_TRUE(SubmitMany(coordinator, "many", 9'000, true, many).ok());
  ASSERT_TRUE(Explain(coordinator, many.jobs(8'999), explanation).ok());
  EXPECT_EQ(explanation.reason(), Explanation::HELD);
}

TEST(Explainer, TheLoopGoesOnWhileAQuestionTakesLong) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  Explainer explainer(coordinator.server().loop());
  SlowQuestion slow(explainer);
  slow.WaitUntilItIsAnswered();
  EXPECT_NE(coordinator.Submit("meanwhile"), 0u);
  slow.LetGo();
}

TEST(Explainer, TakesNoMoreQuestionsThanItHasRoomFor) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  Explainer explainer(coordinator.server().loop());
  SlowQuestion slow(explainer);
  absl::Status refused;
  int asked = 0, answered = 0;
  while (refused.ok() && asked < 10'000) {
    refused = explainer.Ask([&](const absl::Status&, const Cluster*) { ++answered; });
    if (refused.ok()) ++asked;
  }
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_GT(asked, 100);
  slow.LetGo();
  std::promise<void> last;
  while (!explainer.Ask([&](const absl::Status&, const Cluster*) { last.set_value(); }).ok()) {
  }
  last.get_future().wait();
  EXPECT_EQ(answered, asked) << "whoever was let in gets an answer";
}

TEST(Explainer, RefusesWhatWaitsOnceItIsToStop) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  absl::Status told;
  {
    Explainer explainer(coordinator.server().loop());
    SlowQuestion slow(explainer);
    ASSERT_TRUE(
        explainer.Ask([&](const absl::Status& status, const Cluster*) { told = status; }).ok());
    explainer.Stop();
    slow.LetGo();
  }
  EXPECT_EQ(told.code(), absl::StatusCode::kUnavailable);
}

TEST(Explainer, SaysWhatIsDurableWhileTheDiskIsFullAndAfter) {
  ServerOptions options;
  options.loop.reopen_every_ms = 50;
  CoordinatorUnderTest coordinator;
  coordinator.Start(options);
  const uint64_t job = coordinator.Submit("before");
  Explanation explanation;
  ASSERT_TRUE(Explain(coordinator, job, explanation).ok());
  coordinator.SetDiskFull(true);
  grpc::Status refused;
  coordinator.Submit("while-it-is-full", &refused);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  ASSERT_TRUE(Explain(coordinator, job, explanation).ok());
  EXPECT_EQ(Explain(coordinator, job + 1, explanation).error_code(), grpc::StatusCode::NOT_FOUND);
  coordinator.SetDiskFull(false);
  uint64_t after = 0;
  ASSERT_TRUE(Eventually([&] {
    after = coordinator.Submit("once-it-is-written-again", &refused);
    return after != 0;
  })) << refused.error_message();
  ASSERT_TRUE(Explain(coordinator, after, explanation).ok());
  EXPECT_THAT(explanation.text(), HasSubstr("no node"));
}

}  // namespace
}  // namespace tanren::coordinator
