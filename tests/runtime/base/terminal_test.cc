#include "runtime/base/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

namespace tanren {
namespace {

// What `body` says in a child whose standard error is a pseudo-terminal or a pipe.
bool InChild(bool terminal, const std::function<bool()>& body) {
  int reader = -1, writer = -1, ends[2] = {-1, -1};
  if (terminal) {
    EXPECT_EQ(openpty(&reader, &writer, nullptr, nullptr, nullptr), 0);
  } else {
    EXPECT_EQ(pipe(ends), 0);
    reader = ends[0], writer = ends[1];
  }
  const pid_t child = fork();
  if (child == 0) {
    dup2(writer, STDERR_FILENO);
    _exit(body() ? 1 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  close(reader);
  close(writer);
  return WEXITSTATUS(status) == 1;
}

TEST(SeenOnTerminal, IsTheDescriptorsAnswerWithoutMpirun) {
  const auto ask = [] {
    unsetenv("OMPI_COMM_WORLD_RANK");
    return SeenOnTerminal(STDERR_FILENO);
  };
  EXPECT_TRUE(InChild(true, ask));
  EXPECT_FALSE(InChild(false, ask));
}

TEST(SeenOnTerminal, IsNotARanksOwnPseudoTerminal) {
  // A rank with no mpirun above it: started on another host.
  EXPECT_FALSE(InChild(true, [] {
    setenv("OMPI_COMM_WORLD_RANK", "0", 1);
    return SeenOnTerminal(STDERR_FILENO);
  }));
}

TEST(ForTerminal, ShowsControlCharactersAsText) {
  EXPECT_EQ(ForTerminal("a\tb\nc\x1b[2J\x7f\xc2\x9b é日"), "a\tb\nc\\x1b[2J\\x7f\\x9b é日");
}

TEST(OnOneLine, ShowsNewlines) { EXPECT_EQ(OnOneLine("a\nb"), "a ⏎ b"); }

}  // namespace
}  // namespace tanren
