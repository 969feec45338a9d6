// The progress line: step, loss, tokens a second, share of the machine's limit, memory, time left.
#ifndef TANREN_TRAINER_LOOP_PROGRESS_H_
#define TANREN_TRAINER_LOOP_PROGRESS_H_

#include <cstdint>
#include <cstdio>
#include <string>

#include "trainer/loop/callback.h"

namespace tanren::trainer {

// What the figures of a line are measured against.
struct ProgressScale {
  int64_t total_steps = 0;
  double flops_per_token = 0;
  double flops_per_second = 0;  // of all ranks' products; 0: not known
};

// "step 12/40  loss 1.2345  130 tok/s  62 % of limit  2.1 GB/rank  1 min 12 s left".
std::string ProgressLine(const StepReport& report, const ProgressScale& scale,
                         double tokens_per_second, double seconds_left);

// "45 s", "3 min 05 s", "2 h 10 min".
std::string FormatDuration(double seconds);

// Writes to standard output or standard error, on one rank. Where a person watches, the line is
// rewritten in place; elsewhere one is written every few seconds, and at the end.
class Progress final : public Callback {
 public:
  Progress(ProgressScale scale, std::FILE* stream);
  void RunStarted(StartReport& report) override;
  void StepFinished(StepReport& report) override;

 private:
  ProgressScale scale_;
  std::FILE* stream_;
  bool terminal_;
  int64_t first_step_ = 0;
  double seconds_ = 0;          // spent in steps of this launch
  double smoothed_rate_ = 0;    // tokens a second
  double last_written_ = -1e9;  // in seconds_
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_LOOP_PROGRESS_H_
