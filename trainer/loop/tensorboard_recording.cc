#include "trainer/loop/tensorboard_recording.h"

#include <utility>

#include "runtime/base/error.h"
#include "trainer/loop/step_metrics.h"

namespace tanren::trainer {

TensorBoardRecording::TensorBoardRecording(TensorBoardFile file, int64_t log_every)
    : file_(std::move(file)), log_every_(log_every) {}

void TensorBoardRecording::RunStarted(StartReport& report) {
  if (report.steps_done > 0) ThrowIfError(file_.AppendRestart(report.steps_done + 1));
  if (report.metrics.empty()) return;
  ThrowIfError(
      file_.AppendScalars(report.steps_done, {report.metrics.begin(), report.metrics.end()}));
}

void TensorBoardRecording::StepFinished(StepReport& report) {
  if (!IsWritten(report, log_every_)) return;
  ThrowIfError(file_.AppendScalars(report.step, MetricsOf(report)));
}

}  // namespace tanren::trainer
