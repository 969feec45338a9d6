// Says which rows of the data a training leaves out or cuts. On one rank: every rank reads all
// rows' lengths, and so finds the same.
#ifndef TANREN_TRAINER_LOOP_ROW_REPORT_H_
#define TANREN_TRAINER_LOOP_ROW_REPORT_H_

#include <functional>
#include <string>
#include <string_view>

#include "trainer/data/corpus.h"
#include "trainer/loop/callback.h"

namespace tanren::trainer {

// "rows of the training data: 2 bad, 5 cut to the sequence length, 1 too long, …"; empty where none
// was left out or cut.
std::string DescribeLosses(std::string_view data, const RowCounts& counts);

class RowReport final : public Callback {
 public:
  using Warn = std::function<void(const std::string& text)>;

  // `data` names the corpus in what is said. The corpus must outlive this.
  RowReport(std::string data, const Corpus& corpus, Warn warn);

  // Each of the first bad rows as soon as it was read.
  void RunStarted(StartReport& report) override;
  // Behind the last step also the counts.
  void StepFinished(StepReport& report) override;

 private:
  void NameBadRows();

  std::string data_;
  const Corpus& corpus_;
  Warn warn_;
  size_t named_ = 0;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_LOOP_ROW_REPORT_H_
