#include "trainer/loop/progress.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tanren::trainer {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(FormatDuration, TakesTheUnitsThatAPersonWould) {
  EXPECT_EQ(FormatDuration(0), "0 s");
  EXPECT_EQ(FormatDuration(45.4), "45 s");
  EXPECT_EQ(FormatDuration(59.6), "1 min 00 s");
  EXPECT_EQ(FormatDuration(185), "3 min 05 s");
  EXPECT_EQ(FormatDuration(3599.7), "1 h 00 min");
  EXPECT_EQ(FormatDuration(7830), "2 h 10 min");
  EXPECT_EQ(FormatDuration(30 * 3600 + 59), "30 h 00 min");
  EXPECT_EQ(FormatDuration(-3), "0 s");
}

TEST(ProgressLine, HasEveryFigure) {
  StepReport report;
  report.step = 12;
  report.loss = 1.23454;
  report.memory.peak_resident = 2'140'000'000;
  const ProgressScale scale{.total_steps = 40, .flops_per_token = 3e9, .flops_per_second = 6e11};
  EXPECT_EQ(ProgressLine(report, scale, 124.4, 72),
            "step 12/40  loss 1.2345  124 tok/s  62 % of limit  2.1 GB/rank  1 min 12 s left");
  report.metrics["validation_loss"] = 1.5;
  report.skipped = true;
  EXPECT_EQ(ProgressLine(report, {.total_steps = 40}, 124.4, 72),
            "step 12/40  loss 1.2345  124 tok/s  2.1 GB/rank  1 min 12 s left  "
            "held-out 1.5000  skipped: gradients not finite");
}

TEST(ProgressLine, HasTheGpusMemoryWhereThereIsOne) {
  StepReport report;
  report.memory = {.resident = 1'000'000'000,
                   .peak_resident = 2'000'000'000,
                   .device = 9'000'000'000,
                   .peak_device = 12'340'000'000};
  EXPECT_THAT(ProgressLine(report, {.total_steps = 40}, 124.4, 72), HasSubstr("  12.3 GB/rank  "));
}

StepReport Step(int64_t step, double seconds, int64_t tokens = 100) {
  StepReport report;
  report.step = step;
  report.seconds = seconds;
  report.tokens = tokens;
  return report;
}

class ProgressTest : public testing::Test {
 protected:
  ProgressTest() : stream_(std::tmpfile()) {}
  ~ProgressTest() override { std::fclose(stream_); }

  Progress Start(const ProgressScale& scale, int64_t steps_done = 0) {
    Progress progress(scale, stream_);
    StartReport start{steps_done, {}};
    progress.RunStarted(start);
    return progress;
  }
  static void Report(Progress& progress, StepReport report) { progress.StepFinished(report); }

  std::vector<std::string> Lines() const {
    std::fflush(stream_);
    std::rewind(stream_);
    std::vector<std::string> lines(1);
    for (int c = std::getc(stream_); c != EOF; c = std::getc(stream_)) {
      if (c == '\n') {
        lines.emplace_back();
      } else {
        lines.back() += static_cast<char>(c);
      }
    }
    EXPECT_EQ(lines.back(), "") << "the last line is whole";
    lines.pop_back();
    return lines;
  }

  std::FILE* stream_;
};

TEST_F(ProgressTest, AFileGetsALineEveryFiveSecondsAndTheLast) {
  Progress progress = Start({.total_steps = 13});
  for (int64_t step = 1; step <= 13; ++step) {
    StepReport report = Step(step, 1);
    report.is_last = step == 13;
    Report(progress, report);
  }
  EXPECT_THAT(Lines(), ElementsAre(StartsWith("step 1/13 "), StartsWith("step 6/13 "),
                                   StartsWith("step 11/13 "), StartsWith("step 13/13 ")));
}

TEST_F(ProgressTest, WhatIsWorthKnowingIsWrittenAtOnce) {
  Progress progress = Start({.total_steps = 100});
  for (int64_t step = 1; step <= 8; ++step) {
    StepReport report = Step(step, 0.1);
    report.skipped = step == 3;
    report.stop_requested = step == 8;
    if (step == 5) report.metrics["validation_loss"] = 2;
    Report(progress, report);
  }
  EXPECT_THAT(Lines(), ElementsAre(StartsWith("step 1/"), StartsWith("step 3/"),
                                   StartsWith("step 5/"), StartsWith("step 8/")));
}

TEST_F(ProgressTest, TheTimeLeftIsByTheStepsOfThisLaunch) {
  // Two steps of 10 s behind step 30: eight more take 80 s, whatever the first thirty took.
  Progress progress = Start({.total_steps = 40}, 30);
  Report(progress, Step(31, 10));
  Report(progress, Step(32, 10));
  EXPECT_THAT(Lines(), ElementsAre(EndsWith("1 min 30 s left"), EndsWith("1 min 20 s left")));
}

TEST_F(ProgressTest, TheRateIsSmoothed) {
  Progress progress = Start({.total_steps = 40});
  Report(progress, Step(1, 10, 1000));
  Report(progress, Step(2, 10, 2000));
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr(" 100 tok/s"), HasSubstr(" 120 tok/s")));
}

TEST_F(ProgressTest, SaysFirstWhatTheLimitIs) {
  Start({.total_steps = 40, .flops_per_token = 8.1e8, .flops_per_second = 1.5e11});
  EXPECT_THAT(Lines(), ElementsAre(testing::AllOf(StartsWith("limit: 150 GFLOP/s"),
                                                  HasSubstr("0.810 GFLOP a token"))));
}

TEST_F(ProgressTest, SaysNothingOfALimitThatIsNotKnown) {
  Start({.total_steps = 40, .flops_per_token = 8.1e8});
  EXPECT_THAT(Lines(), IsEmpty());
}

// All that comes until a line ends, or nothing has come for five seconds.
std::string Shown(int terminal) {
  std::string text;
  pollfd waiting{.fd = terminal, .events = POLLIN};
  while (!text.ends_with('\n') && poll(&waiting, 1, 5000) == 1) {
    char piece[256];
    const ssize_t size = read(terminal, piece, sizeof(piece));
    if (size <= 0) break;
    text.append(piece, static_cast<size_t>(size));
  }
  return text;
}

TEST(ProgressOnATerminal, EveryStepRewritesTheLineAndTheLastOneStays) {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  ASSERT_EQ(grantpt(terminal), 0);
  ASSERT_EQ(unlockpt(terminal), 0);
  const int other_end = open(ptsname(terminal), O_RDWR | O_NOCTTY);
  ASSERT_GE(other_end, 0);
  termios settings{};
  ASSERT_EQ(tcgetattr(other_end, &settings), 0);
  cfmakeraw(&settings);  // else the terminal itself turns \n into \r\n
  ASSERT_EQ(tcsetattr(other_end, TCSANOW, &settings), 0);
  std::FILE* stream = fdopen(other_end, "w");
  Progress progress({.total_steps = 2}, stream);
  StepReport first = Step(1, 0.1), last = Step(2, 0.1);
  last.is_last = true;
  progress.StepFinished(first);
  progress.StepFinished(last);

  const std::string text = Shown(terminal);
  EXPECT_THAT(text, StartsWith("\r\033[Kstep 1/2 "));
  EXPECT_THAT(text, HasSubstr("left\r\033[Kstep 2/2 "));
  EXPECT_THAT(text, EndsWith("left\n"));
  std::fclose(stream);
  close(terminal);
}

}  // namespace
}  // namespace tanren::trainer
