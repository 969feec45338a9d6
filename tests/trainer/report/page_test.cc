#include "trainer/report/page.h"

#include <gmock/gmock.h>

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
  EXPECT_THAT(page, AllOf(HasSubstr("aria-label=\"Loss of each step\""),
                          HasSubstr("aria-label=\"Held-out loss\""),
                          HasSubstr("first, after: 50.0 % [10.0, 90.0]"), HasSubstr("✓"),
                          HasSubstr("✗"), HasSubstr("東京は?"), HasSubstr("after 3 steps")));
}

TEST(ReportPage, HasATableOfTheScoresThatWereTaken) {
  const std::filesystem::path folder = SmallRun("choices");
  WriteText(RunFolder(folder).evaluation("before"), ChoicesJson(0.25, 0.5));
  WriteText(RunFolder(folder).evaluation("after"), ChoicesJson(0.5, 0.75));
  const RunRecord run = ValueOrThrow(ReadRun(folder));
  const std::string page = ReportPage({&run, 1});
  EXPECT_THAT(page, AllOf(HasSubstr("<td>choices<td>acc<td>25.0 % [20.0, 80.0]<td>50.0 % "),
                          HasSubstr("<td>choices<td>acc_norm<td>50.0 % [30.0, 90.0]<td>75.0 % "),
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
