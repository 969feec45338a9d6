#include "coordinator/client/supervised_program.h"

#include <csignal>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "tests/coordinator/client/fake_coordinator.h"
#include "tests/patience.h"

namespace tanren::coordinator {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

class SupervisedProgramTest : public ::testing::Test {
 protected:
  void Start(const std::string& script) { ThrowIfError(program_.Start({"/bin/sh", "-c", script})); }
  // What Look() says first; "" after kPatience of nothing.
  std::string NextWord() {
    std::string word;
    Eventually([&] {
      word = program_.Look();
      return !word.empty();
    });
    return word;
  }
  bool WaitFor(const std::function<bool()>& condition) {
    return Eventually([&] {
      program_.Look();
      return condition();
    });
  }
  std::string Log() { return ReadFile(folder_.path() / "log").value_or(""); }

  TestFolder folder_;
  SupervisedProgram program_{"it", folder_.path() / "log"};
};

TEST_F(SupervisedProgramTest, IsStartedAgainWhenItIsKilled) {
  Start("echo started; exec sleep 100");
  ASSERT_TRUE(WaitFor([&] { return Log() == "started\n"; }));
  const pid_t first = program_.process();
  kill(first, SIGKILL);
  EXPECT_THAT(NextWord(), HasSubstr("it was ended by signal 9; it is started again"));
  ASSERT_TRUE(WaitFor([&] { return Log() == "started\nstarted\n"; }));
  EXPECT_NE(program_.process(), first);
}

TEST_F(SupervisedProgramTest, ThatKeepsEndingIsStartedLessAndLessOften) {
  Start("echo x; exit 3");
  const auto end = std::chrono::steady_clock::now() + milliseconds(1200);
  while (std::chrono::steady_clock::now() < end) {
    program_.Look();
    std::this_thread::sleep_for(milliseconds(1));
  }
  // At 0, 0.1, 0.3 and 0.7 s, where the machine has time for it.
  EXPECT_LE(Log().size(), 4 * 2u);
  EXPECT_GE(Log().size(), 2 * 2u);
}

TEST_F(SupervisedProgramTest, IsKilledWhenItDoesNotEnd) {
  Start("trap '' TERM; echo started; while :; do sleep 0.01; done");
  ASSERT_TRUE(WaitFor([&] { return Log() == "started\n"; }));
  const auto start = std::chrono::steady_clock::now();
  program_.End(milliseconds(100));
  EXPECT_FALSE(program_.running());
  EXPECT_LT(std::chrono::steady_clock::now() - start, kPatience);
  EXPECT_EQ(program_.Look(), "");
}

TEST_F(SupervisedProgramTest, TellsTheEndOfWhatItWroteSinceItsStart) {
  std::ofstream(folder_.path() / "log") << "of another day\n";
  Start("echo no such folder; exit 1");
  NextWord();
  EXPECT_EQ(program_.LogTail(), "no such folder\n");
}

}  // namespace
}  // namespace tanren::coordinator
