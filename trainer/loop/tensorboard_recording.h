// Shows TensorBoard what metrics.jsonl says. On one rank.
#ifndef TANREN_TRAINER_LOOP_TENSORBOARD_RECORDING_H_
#define TANREN_TRAINER_LOOP_TENSORBOARD_RECORDING_H_

#include <cstdint>

#include "runtime/telemetry/tensorboard_file.h"
#include "trainer/loop/callback.h"

namespace tanren::trainer {

class TensorBoardRecording final : public Callback {
 public:
  // `file` is this launch's own. Writes the steps and the names that Recording writes.
  TensorBoardRecording(TensorBoardFile file, int64_t log_every);

  // Of a resumed run, lets TensorBoard drop what an earlier launch wrote behind the checkpoint.
  void RunStarted(StartReport& report) override;
  void StepFinished(StepReport& report) override;

 private:
  TensorBoardFile file_;
  int64_t log_every_;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_LOOP_TENSORBOARD_RECORDING_H_
