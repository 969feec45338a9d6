#include "trainer/report/page.h"

#include <gmock/gmock.h>

#include <cmath>
#include <string>

#include "tests/trainer/report/small_run.h"

namespace tanren::trainer {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

RunRecord ScoredRun(const std::string& name) {
  const std::filesystem::path folder = SmallRun(name);
  const RunFolder files(folder);
  WriteText(files.samples(),
            R"([{"step": 0, "answers": [{"question": "東京は?", "text": "<script>x()</script>"}]},
                {"step": 3, "answers": [{"question": "東京は?", "text": "two\nlines \u001b[2J"}]}])");
  WriteText(files.evaluation("before"), EvaluationJson(0, "5", false));
  WriteText(files.evaluation("after"), EvaluationJson(0.5, "4", true));
  return ValueOrThrow(ReadRun(folder));
}

TEST(ReportPage, ComparesRunsWithCurvesScoresAndAnswers) {
  const RunRecord runs[] = {ScoredRun("first"), ScoredRun("second")};
  const std::string page = ReportPage(runs);
  EXPECT_THAT(page, AllOf(HasSubstr("<title>first and second</title>"), HasSubstr("134.5 M"),
                          HasSubstr("3.250 → 1.125"), HasSubstr("3.500 → 1.500"),
                          HasSubstr("still going, or killed")));
  EXPECT_THAT(page, AllOf(HasSubstr("aria-label=\"Loss of each step. first: 3.250 at 1"),
                          HasSubstr("aria-label=\"Held-out loss. first: 3.500 at 0"),
                          HasSubstr("first, after: 50.0 % [10.0, 90.0]"), HasSubstr("✓"),
                          HasSubstr("✗"), HasSubstr("東京は?"), HasSubstr("after 3 steps")));
}

TEST(ReportPage, HasATableOfTheScoresThatWereTaken) {
  const std::filesystem::path folder = SmallRun("choices");
  WriteText(RunFolder(folder).evaluation("before"), ChoicesJson(0.25, 0.5));
  WriteText(RunFolder(folder).evaluation("after"), ChoicesJson(0.5, 0.75));
  const RunRecord run = ValueOrThrow(ReadRun(folder));
  const std::string page = ReportPage({&run, 1});
  EXPECT_THAT(
      page, AllOf(HasSubstr("<td class=name>choices<td>acc<td class=number>25.0 % [20.0, 80.0]<td "
                            "class=number>50.0 % "),
                  HasSubstr("<td class=name>choices<td>acc_norm<td class=number>50.0 % [30.0, 90.0]"
                            "<td class=number>75.0 % "),
                  HasSubstr("aria-label=\"Choices by log-likelihood (acc)"),
                  Not(HasSubstr("xact match"))));
  EXPECT_THAT(ReportText({&run, 1}),
              AllOf(HasSubstr("  acc            25.0 % [20.0, 80.0] → 50.0 % [20.0, 80.0]\n"),
                    HasSubstr("  acc_norm       50.0 % [30.0, 90.0] → 75.0 % [30.0, 90.0]\n"),
                    Not(HasSubstr("exact match"))));
}

TEST(ReportPage, ShowsWhatModelsAndRecipesSayAsText) {
  const RunRecord run = ScoredRun("hostile");
  const std::string page = ReportPage({&run, 1});
  EXPECT_THAT(page, AllOf(Not(HasSubstr("<script")), HasSubstr("&lt;script&gt;x()"),
                          Not(HasSubstr("\x1b")), HasSubstr("# &lt;b&gt;")));
}

TEST(ReportPage, NeedsNoOtherFile) {
  const RunRecord run = ScoredRun("alone");
  EXPECT_THAT(ReportPage({&run, 1}),
              AllOf(Not(HasSubstr("http")), Not(HasSubstr("src=")), Not(HasSubstr("<link"))));
}

TEST(ReportPage, ShowsMemoryWithItsPeakAndTheGpusWhereThereIsOne) {
  const std::filesystem::path folder = SmallRun("memory");
  RunRecord run = ValueOrThrow(ReadRun(folder));
  run.metrics = {{1, {{"memory_bytes", 2e9}, {"peak_memory_bytes", 3e9}}},
                 {2, {{"memory_bytes", 2.5e9}, {"peak_memory_bytes", 3.5e9}}}};
  EXPECT_THAT(
      ReportPage({&run, 1}),
      AllOf(HasSubstr("aria-label=\"Memory of the largest rank. memory: 2.000 at 1, 2.500 at "
                      "2\""),
            HasSubstr(">3.5 GB"), HasSubstr("class=\"limit\""), Not(HasSubstr("GPU"))));
  for (MetricsLine& line : run.metrics) {
    line.values.emplace_back("device_memory_bytes", 9e9);
    line.values.emplace_back("peak_device_memory_bytes", 12e9);
  }
  EXPECT_THAT(
      ReportPage({&run, 1}),
      AllOf(HasSubstr("aria-label=\"GPU memory of the largest rank."), HasSubstr(">12.0 GB")));
}

TEST(ReportPage, OfAFailedRunSaysWhyAndShowsWhatThereIs) {
  const std::filesystem::path folder = SmallRun("failing");
  Event failed;
  failed.mutable_run_ended()->set_outcome(RunEnded::FAILED);
  failed.mutable_run_ended()->set_message("gradients of model.layers.7 are NaN\n<more>");
  AppendEvent(folder, failed);
  const RunRecord run = ValueOrThrow(ReadRun(folder));
  EXPECT_THAT(ReportPage({&run, 1}),
              AllOf(HasSubstr("<td>failed<td"),
                    HasSubstr("<p class=message><b>failing failed:</b> gradients of model.layers.7 "
                              "are NaN\n&lt;more&gt;</p>"),
                    HasSubstr("aria-label=\"Loss of each step.")));
  EXPECT_THAT(ReportText({&run, 1}),
              HasSubstr("failing: failed\n  gradients of model.layers.7 are NaN\n"));
}

TEST(ReportPage, OfARunWithNansHasGapsAndCountsSkippedSteps) {
  RunRecord run = ScoredRun("skipping");
  run.metrics[2].values = {{"loss", std::nan("")}, {"gradient_norm", std::nan("")}, {"skipped", 1}};
  const std::string page = ReportPage({&run, 1});
  EXPECT_THAT(page,
              AllOf(HasSubstr("skipping: no finite number at 2</title>"),
                    HasSubstr("<th scope=col class=number>skipped steps"), Not(HasSubstr("nan"))));
  const RunRecord fine = ScoredRun("fine");
  EXPECT_THAT(ReportPage({&fine, 1}), Not(HasSubstr("skipped steps")));
}

TEST(ReportPage, OfTenThousandStepsAndLongAnswersIsOneThatABrowserOpensAtOnce) {
  RunRecord run = ScoredRun("long");
  run.metrics.clear();
  for (int64_t step = 1; step <= 10'000; ++step) {
    const auto value = static_cast<double>(step % 131);
    run.metrics.push_back({step,
                           {{"loss", value},
                            {"validation_loss", value},
                            {"gradient_norm", value},
                            {"learning_rate", value},
                            {"tokens", 512},
                            {"tokens_per_second", value},
                            {"memory_bytes", 1e7 * value},
                            {"peak_memory_bytes", 2e9}}});
  }
  for (Asking& asking : run.askings) {
    asking.answers.assign(1000, {"東京は?", std::string(100'000, 'x')});
  }
  run.after->answers.assign(1000, {"q", "a", std::string(100'000, 'y'), false});
  const std::string page = ReportPage({&run, 1});
  EXPECT_LT(page.size(), 600'000u);
  EXPECT_THAT(page, AllOf(HasSubstr("12 of 1000 questions."), HasSubstr("5.1 M")));
}

TEST(ReportPage, TellsRunsOfOneRecipeApartByTheirFolders) {
  RunRecord first = ScoredRun("one"), second = ScoredRun("two"), third = ScoredRun("three");
  first.name = second.name = "sweep";
  first.folder = "/runs/a";
  second.folder = "/runs/b";
  const RunRecord runs[] = {first, second, third};
  EXPECT_THAT(ReportPage(runs), HasSubstr("<h1>sweep (a) and sweep (b) and three</h1>"));
}

TEST(ReportPage, ShowsTheSettingsInWhichRunsDiffer) {
  RunRecord first = ScoredRun("low"), second = ScoredRun("high");
  first.recipe = "name: low\noptimizer:\n  learning_rate: 1e-05\n  kind: adamw\n";
  second.recipe = "name: high\noptimizer:\n  learning_rate: 0.0005\n  kind: adamw\n";
  const RunRecord runs[] = {first, second};
  EXPECT_THAT(ReportPage(runs),
              HasSubstr("<code>optimizer.learning_rate</code><td class=name>1e-05<td "
                        "class=name>0.0005</tr>"));
  EXPECT_THAT(ReportPage(runs), Not(HasSubstr("optimizer.kind")));
  EXPECT_THAT(ReportPage({runs, 1}), Not(HasSubstr("runs differ")));
}

TEST(ReportPage, WhatIsWiderThanAPageScrollsByKeyboardInABoxOfItsOwn) {
  const RunRecord runs[] = {ScoredRun("first"), ScoredRun("second")};
  const std::string page = ReportPage(runs);
  EXPECT_THAT(page,
              AllOf(HasSubstr("<div class=scroll tabindex=0 role=region aria-label=\"The runs\">"),
                    HasSubstr("<pre tabindex=0>")));
}

TEST(ReportPage, JapaneseTextIsMarkedAsSuch) {
  const RunRecord run = ScoredRun("japanese");
  EXPECT_THAT(ReportPage({&run, 1}), AllOf(HasSubstr("<span class=answer lang=ja>東京は?</span>"),
                                           HasSubstr("<span class=answer>2+2?</span>")));
}

TEST(ReportPage, OfARunWithoutStepsSaysSo) {
  RunRecord run;
  run.name = "empty";
  EXPECT_THAT(ReportPage({&run, 1}),
              AllOf(HasSubstr("not started"), HasSubstr("No step has been done yet")));
}

TEST(ReportText, SaysTheFiguresAndTheAnswersEachOnOneLine) {
  const RunRecord run = ScoredRun("text");
  EXPECT_EQ(ReportText({&run, 1}),
            "text: still going, or killed\n"
            "  training loss  3.250 → 1.125\n"
            "  held-out loss  3.500 → 1.500\n"
            "  exact match    0.0 % [10.0, 90.0] → 50.0 % [10.0, 90.0]\n"
            "  Q: 東京は?\n"
            "     before: <script>x()</script>\n"
            "     after:  two ⏎ lines \\x1b[2J\n");
}

}  // namespace
}  // namespace tanren::trainer
