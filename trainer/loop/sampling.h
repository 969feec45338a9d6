// Asks the model the same few questions before the first step and after the last one, for people to
// compare.
#ifndef TANREN_TRAINER_LOOP_SAMPLING_H_
#define TANREN_TRAINER_LOOP_SAMPLING_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "parallel/engine/engine.h"
#include "runtime/comm/communicator.h"
#include "trainer/loop/callback.h"
#include "trainer/model/pretrained.h"
#include "trainer/rollout/generator.h"
#include "trainer/rollout/questions.h"

namespace tanren::trainer {

struct SamplingQuestions {
  std::vector<Question> questions;
  std::vector<GenerationRequest> requests;  // one for each
  int batch_size = 8;
};

// On every rank; the first one answers. While it does, each rank holds the whole model.
class Sampling final : public Callback {
 public:
  // Answers go to `file`, a list of {"step", "answers": [{"question", "text"}]}, whole or not at
  // all, and to the log. The references must outlive this.
  Sampling(parallel::Engine& engine, comm::Communicator& ranks, const PretrainedModel& model,
           SamplingQuestions questions, std::filesystem::path file);

  void RunStarted(StartReport& report) override;
  void StepFinished(StepReport& report) override;

 private:
  void Ask(int64_t step);
  absl::Status Write(int64_t step, const std::vector<Generation>& answers) const;

  parallel::Engine& engine_;
  comm::Communicator& ranks_;
  const PretrainedModel& model_;
  SamplingQuestions questions_;
  std::filesystem::path file_;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_LOOP_SAMPLING_H_
