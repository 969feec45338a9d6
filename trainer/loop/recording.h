// Writes down what happens: metrics.jsonl and events. On one rank.
#ifndef TANREN_TRAINER_LOOP_RECORDING_H_
#define TANREN_TRAINER_LOOP_RECORDING_H_

#include <cstdint>
#include <filesystem>
#include <memory>

#include "proto/event.pb.h"
#include "runtime/telemetry/event_log.h"
#include "runtime/telemetry/metrics_file.h"
#include "trainer/loop/callback.h"

namespace tanren::trainer {

class Recording final : public Callback {
 public:
  // Writes a line of metrics for every `log_every`-th step, for those with an evaluation, and for
  // the last; each step is an event. `started` is the event of the run's start, without
  // first_step. The log must outlive this.
  Recording(MetricsFile metrics, EventLog& events, tanren::RunStarted started, int64_t log_every);

  // Cuts the metrics back to the steps that are done.
  void RunStarted(StartReport& report) override;
  void StepFinished(StepReport& report) override;

 private:
  void SendEvaluation(int64_t step, const std::map<std::string, double>& metrics);

  MetricsFile metrics_;
  EventLog& events_;
  tanren::RunStarted started_;
  int64_t log_every_;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_LOOP_RECORDING_H_
