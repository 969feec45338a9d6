// `tanren submit` of one recipe and of several, as it is typed, against a coordinator that answers
// as the test wants.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "coordinator/client/commands.h"
#include "coordinator/client/exit_codes.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/coordinator/client/fake_coordinator.h"

namespace tanren::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SubmitCommand : public ::testing::Test {
 protected:
  SubmitCommand() {
    jobs_.submit = [this](const SubmitRequest& request, SubmitReply* reply) {
      ids_.push_back(request.request_id());
      names_.push_back(request.spec().name());
      if (request.spec().name() == refused_) {
        return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "quota of user/alice");
      }
      if (request.spec().name() == lost_) {
        return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "too slow");
      }
      reply->add_jobs(10 + ids_.size());
      return grpc::Status::OK;
    };
  }

  // A recipe of that name; its path.
  std::string Recipe(const std::string& name) {
    const std::filesystem::path path = folder_.path() / (name + ".yaml");
    std::ofstream(path) << "name: " << name
                        << "\nmodel:\n  path: /models/small\n"
                           "data:\n  sources:\n    - path: /data/rows.jsonl\n"
                           "training:\n  steps: 3\n";
    return path.string();
  }

  // What is printed stays in `out_`.
  absl::StatusOr<int> Submit(std::vector<std::string> words) {
    CommonOptions common;
    const Endpoint endpoint = folder_.EndpointAt(coordinator_.address());
    common.endpoint.address = endpoint.address;
    common.endpoint.token_file = endpoint.token_file;
    CLI::App program("test");
    Action action;
    AddSubmit(program, common, action);
    words.insert(words.begin(), "submit");
    std::reverse(words.begin(), words.end());  // as CLI11 wants them
    program.parse(words);
    testing::internal::CaptureStdout();
    absl::StatusOr<int> code = action();
    std::fflush(stdout);
    out_ = testing::internal::GetCapturedStdout();
    return code;
  }

  TestFolder folder_;
  FakeJobs jobs_;
  FakeCoordinator coordinator_{jobs_};
  std::vector<std::string> ids_, names_;
  std::string refused_, lost_;
  std::string out_;
};

TEST_F(SubmitCommand, OneRecipeIsOneJobUnderTheRequestIdThatWasGiven) {
  ASSERT_EQ(Submit({Recipe("a"), "--request-id", "mine"}).value(), kDone);
  EXPECT_THAT(ids_, ElementsAre("mine"));
  EXPECT_EQ(out_, "job 11\n");
}

TEST_F(SubmitCommand, EachOfSeveralRecipesIsAJobWithALineAndARequestIdOfItsOwn) {
  const std::string a = Recipe("a"), b = Recipe("b");
  ASSERT_EQ(Submit({a, b, "--request-id", "mine"}).value(), kDone);
  EXPECT_THAT(ids_, ElementsAre("mine.1", "mine.2"));
  EXPECT_THAT(names_, ElementsAre("a", "b"));
  EXPECT_EQ(out_, a + ": job 11\n" + b + ": job 12\n");
}

TEST_F(SubmitCommand, NothingIsSentWhereOneRecipeHasAnError) {
  const std::string wrong = Recipe("wrong");
  std::ofstream(wrong, std::ios::app) << "  stepps: 4\n";
  const absl::StatusOr<int> code = Submit({Recipe("a"), wrong});
  EXPECT_THAT(std::string(code.status().message()), HasSubstr("wrong.yaml"));
  EXPECT_THAT(ids_, IsEmpty());
}

TEST_F(SubmitCommand, ARecipeThatIsRefusedKeepsNoOtherBackAndIsTheAnswer) {
  refused_ = "b";
  const absl::StatusOr<int> code = Submit({Recipe("a"), Recipe("b"), Recipe("c")});
  EXPECT_EQ(ExitCodeOf(code.status()), kTryLater);
  EXPECT_THAT(std::string(code.status().message()), HasSubstr("b.yaml: quota of user/alice"));
  EXPECT_THAT(names_, ElementsAre("a", "b", "c"));
  EXPECT_THAT(out_, HasSubstr("c.yaml: job 13\n"));
}

TEST_F(SubmitCommand, ALostCoordinatorEndsItAndTheIdToAskAgainWithIsNamed) {
  lost_ = "b";
  const absl::StatusOr<int> code =
      Submit({Recipe("a"), Recipe("b"), Recipe("c"), "--request-id", "mine"});
  EXPECT_EQ(ExitCodeOf(code.status()), kUnreachable);
  EXPECT_THAT(std::string(code.status().message()),
              HasSubstr("--request-id mine it is taken once"));
  EXPECT_THAT(names_, ElementsAre("a", "b"));
}

}  // namespace
}  // namespace tanren::coordinator
