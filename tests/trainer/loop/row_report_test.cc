#include "trainer/loop/row_report.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/trainer/data/data_files.h"

namespace tanren::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(RowReport, SaysHowManyRowsAreLostInWhichWay) {
  RowCounts counts{.documents = 9};
  EXPECT_EQ(DescribeLosses("training data", counts), "");
  counts.bad_rows = 2;
  counts.dropped_too_long = 4;
  EXPECT_EQ(DescribeLosses("training data", counts),
            "rows of the training data: 2 bad and left out, 4 too long and left out; 9 documents");
  counts.truncated = 3;
  counts.dropped_no_target = 5;
  EXPECT_THAT(DescribeLosses("training data", counts),
              testing::AllOf(HasSubstr("3 cut"), HasSubstr("5 left out, for no target")));
}

class RowReportTest : public testing::Test {
 protected:
  void Read(uint64_t row) { ValueOrThrow(corpus_->Summary(row)); }
  void Start() {
    StartReport report;
    callback_.RunStarted(report);
  }
  void Finish(int64_t step, bool is_last = false, bool stop_requested = false) {
    StepReport report;
    report.step = step;
    report.is_last = is_last;
    report.stop_requested = stop_requested;
    callback_.StepFinished(report);
  }
  // What was said since it was asked last.
  std::vector<std::string> Said() { return std::exchange(said_, {}); }

  const DataFiles files_{{"{\"text\":\"one\"}\n{\n{\"text\":\"three\"}\n[]\n"}};
  const std::unique_ptr<Corpus> corpus_ = files_.Open({.bad_rows = DataRecipe::SKIP});
  std::vector<std::string> said_;
  RowReport callback_{"data", *corpus_, [this](const std::string& text) { said_.push_back(text); }};
};

TEST_F(RowReportTest, EachBadRowIsNamedOnceAsSoonAsItWasRead) {
  Read(1);
  Start();
  EXPECT_THAT(Said(), ElementsAre(HasSubstr("s0.jsonl:2: ")));
  Read(0);
  Finish(1);
  EXPECT_THAT(Said(), IsEmpty());
  Read(3);
  Finish(2);
  EXPECT_THAT(Said(), ElementsAre(HasSubstr("s0.jsonl:4: ")));
}

TEST_F(RowReportTest, TheCountsAreSaidBehindTheLastStepOrAStop) {
  Read(0);
  Read(1);
  Start();
  Said();
  Finish(1);
  EXPECT_THAT(Said(), IsEmpty());
  Finish(2, /*is_last=*/false, /*stop_requested=*/true);
  EXPECT_THAT(Said(), ElementsAre("rows of the data: 1 bad and left out; 1 documents"));
  Finish(3, /*is_last=*/true);
  EXPECT_THAT(Said(), ElementsAre("rows of the data: 1 bad and left out; 1 documents"));
}

}  // namespace
}  // namespace tanren::trainer
