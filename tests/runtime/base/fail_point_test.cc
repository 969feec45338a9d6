#include "runtime/base/fail_point.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/file.h"
#include "tests/temporary_folder.h"

namespace tanren {
namespace {

using ::testing::HasSubstr;

class FailPoints : public ::testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(SetFailPoints("").ok()); }
};

TEST_F(FailPoints, NothingHappensWhereNothingIsSet) {
  EXPECT_TRUE(FailPoint("store.before_commit").ok());
}

TEST_F(FailPoints, AnErrorComesEachTimeOrAtTheNumberedPassageAlone) {
  ASSERT_TRUE(SetFailPoints("a:error,b:error@2").ok());
  EXPECT_FALSE(FailPoint("a").ok());
  EXPECT_FALSE(FailPoint("a").ok());
  EXPECT_TRUE(FailPoint("b").ok());
  EXPECT_THAT(FailPoint("b").ToString(), HasSubstr("fail point b"));
  EXPECT_TRUE(FailPoint("b").ok());
  EXPECT_TRUE(FailPoint("c").ok());
}

TEST_F(FailPoints, AWaitTakesItsTime) {
  ASSERT_TRUE(SetFailPoints("a:wait=30").ok());
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(FailPoint("a").ok());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(30));
}

TEST_F(FailPoints, AHoldLastsUntilItsFileIsThereOrTheProgramLetsGo) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "go";
  ASSERT_TRUE(SetFailPoints("a:hold=" + file.string() + ",b_2:hold=/no/such/file").ok());
  std::atomic<bool> passed = false;
  std::thread held([&] {
    (void)FailPoint("a");
    passed = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(passed);
  ASSERT_TRUE(WriteFileAtomically(file, "").ok());
  held.join();

  int looks = 0;
  const auto let_go = [&] { return ++looks == 3; };
  EXPECT_TRUE(FailPoint("b", 1, let_go).ok());
  EXPECT_EQ(looks, 0) << "another passage's name";
  EXPECT_TRUE(FailPoint("b", 2, let_go).ok());
  EXPECT_EQ(looks, 3);
}

TEST_F(FailPoints, KillEndsTheProcessAtTheNumberedPassage) {
  const pid_t child = fork();
  if (child == 0) {
    if (!SetFailPoints("a:kill@3").ok()) _exit(1);
    for (int i = 1; i <= 3; ++i) {
      if (i == 3) alarm(10);
      (void)FailPoint("a");
    }
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

TEST_F(FailPoints, StopGoesOnWhenItIsContinued) {
  const pid_t child = fork();
  if (child == 0) {
    if (!SetFailPoints("a:stop").ok()) _exit(1);
    (void)FailPoint("a");
    _exit(7);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status));
  kill(child, SIGCONT);
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST_F(FailPoints, ATextThatIsNotOfTheFormIsNamedAndNothingIsSet) {
  for (const char* text : {"a", ":kill", "a:die", "a:kill@0", "a:kill@x", "a:wait=", "a:wait=-1",
                           "a:hold=", "a:hold=go", "a:error,", "a:error,b"}) {
    const absl::Status status = SetFailPoints(text);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(status.ToString(), HasSubstr("expected NAME:ACTION"));
    EXPECT_TRUE(FailPoint("a").ok()) << text;
  }
}

// The program that the environment names a point for: this one, started anew.
int ExitStatusWith(const char* points) {
  const pid_t child = fork();
  if (child == 0) {
    setenv("TANREN_FAIL_POINT", points, 1);
    setenv("TANREN_FAIL_POINT_TEST", "1", 1);
    execl("/proc/self/exe", "base_test", "--gtest_filter=FailPoints.IsReachedByAChild", nullptr);
    _exit(99);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST_F(FailPoints, IsReachedByAChild) {
  if (getenv("TANREN_FAIL_POINT_TEST") == nullptr) GTEST_SKIP() << "started by the next test alone";
  (void)FailPoint("child.first");
  (void)FailPoint("child.second");
}

TEST_F(FailPoints, TheEnvironmentSetsThemAndAWrongOneEndsTheProgram) {
  int status = ExitStatusWith("child.second:kill");
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  status = ExitStatusWith("child.third:kill");
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  status = ExitStatusWith("child.second:kil");
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 2) << status;
}

}  // namespace
}  // namespace tanren
