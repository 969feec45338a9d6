#include "trainer/training_callbacks.h"

#include <cstdio>
#include <string>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/config/recipe_text.h"
#include "runtime/telemetry/process_identity.h"
#include "trainer/loop/checkpointing.h"
#include "trainer/loop/evaluation.h"
#include "trainer/loop/machine_limit.h"
#include "trainer/loop/progress.h"
#include "trainer/loop/recording.h"
#include "trainer/loop/row_report.h"
#include "trainer/loop/tensorboard_recording.h"

namespace tanren::trainer {
namespace {

using Callbacks = std::vector<std::unique_ptr<Callback>>;

// Of all ranks, measured at the same time: they share the machine in the steps too.
double TotalProductRate(const CallbackParts& parts) {
  comm::Communicator& ranks = parts.training.ranks;
  const at::Device device = parts.world.device();
  ranks.Barrier("measuring");
  const at::Tensor rate = at::full({1}, MeasureProductRate(parts.compute_type, device),
                                   at::TensorOptions(at::kDouble).device(device));
  ranks.AllReduce(rate, comm::ReduceOp::kSum, "measuring")->Wait();
  return rate.item<double>();
}

RunStarted Started(const CallbackParts& parts) {
  RunStarted started;
  started.set_name(parts.recipe.name());
  started.set_world_size(parts.training.ranks.size());
  started.set_total_steps(parts.data.steps);
  started.set_parameters(ParameterCount(parts.model.model));
  started.add_hosts(telemetry::HostName());
  return started;
}

void AddRowReports(const CallbackParts& parts, Callbacks& callbacks) {
  const auto warn = [events = parts.events](const std::string& text) {
    LogWarning("{}", text);
    Event event;
    event.mutable_warning()->set_text(text);
    ThrowIfError(events->Append(std::move(event)));
  };
  callbacks.push_back(std::make_unique<RowReport>("training data", *parts.data.corpus, warn));
  if (parts.data.validation_corpus == nullptr) return;
  callbacks.push_back(
      std::make_unique<RowReport>("validation data", *parts.data.validation_corpus, warn));
}

// `limit`: products per second of all ranks' machines.
absl::Status AddRecords(const CallbackParts& parts, double limit, Callbacks& callbacks) {
  const TrainingRecipe& training = parts.recipe.training();
  TANREN_ASSIGN_OR_RETURN(MetricsFile metrics, MetricsFile::Open(parts.folder.metrics()));
  callbacks.push_back(std::make_unique<Recording>(std::move(metrics), *parts.events, Started(parts),
                                                  training.log_every()));
  if (training.tensorboard()) {
    TANREN_ASSIGN_OR_RETURN(TensorBoardFile file,
                            TensorBoardFile::Create(parts.folder.tensorboard()));
    callbacks.push_back(
        std::make_unique<TensorBoardRecording>(std::move(file), training.log_every()));
  }
  const double context = static_cast<double>(parts.recipe.data().sequence_length()) / 2;
  callbacks.push_back(std::make_unique<Progress>(
      ProgressScale{parts.data.steps, FlopsPerToken(parts.model.config, parts.model.model, context),
                    limit},
      stderr));
  AddRowReports(parts, callbacks);
  return absl::OkStatus();
}

CheckpointingOptions CheckpointingOptionsOf(const CallbackParts& parts) {
  const CheckpointRecipe& recipe = parts.recipe.checkpoint();
  CheckpointingOptions options;
  options.folder = parts.folder.checkpoints();
  options.every_steps = recipe.every_steps();
  options.save.retention.keep_last = recipe.keep_last();
  options.save.retention.keep_best = recipe.keep_best();
  options.in_background = recipe.in_background();
  options.skip_when_busy = recipe.when_busy() == CheckpointRecipe::SKIP;
  options.go_on_after_failure = recipe.when_failing() == CheckpointRecipe::GO_ON;
  options.recipe_digest = Digest(parts.recipe);
  return options;
}

CheckpointListener PublishListener(const CallbackParts& parts) {
  if (parts.events == nullptr) return nullptr;
  return [events = parts.events, told = parts.published](const PublishedCheckpoint& checkpoint) {
    Event event;
    tanren::CheckpointPublished& published = *event.mutable_checkpoint_published();
    published.set_step(checkpoint.step);
    published.set_path(checkpoint.path.string());
    published.set_seconds(checkpoint.seconds);
    published.set_waited_seconds(checkpoint.waited_seconds);
    ThrowIfError(events->Append(std::move(event)));
    LogInfo("checkpoint {} in {:.1f} s; training waited {:.2f} s", checkpoint.path.string(),
            checkpoint.seconds, checkpoint.waited_seconds);
    told(checkpoint.step);
  };
}

}  // namespace

// Evaluation comes first: what it finds goes into metrics and checkpoints.
absl::StatusOr<Callbacks> MakeCallbacks(CallbackParts parts) {
  const TrainingParts& training = parts.training;
  Callbacks callbacks;
  if (parts.data.validation != nullptr) {
    callbacks.push_back(std::make_unique<Evaluation>(training.engine, training.ranks,
                                                     *parts.data.validation,
                                                     parts.recipe.evaluation().every_steps()));
  }
  const double limit = TotalProductRate(parts);
  if (parts.events != nullptr) TANREN_RETURN_IF_ERROR(AddRecords(parts, limit, callbacks));
  if (parts.questions) {
    callbacks.push_back(std::make_unique<Sampling>(training.engine, training.ranks, parts.model,
                                                   *std::move(parts.questions),
                                                   parts.folder.samples()));
  }
  callbacks.push_back(std::make_unique<Checkpointing>(training, CheckpointingOptionsOf(parts),
                                                      PublishListener(parts)));
  return callbacks;
}

}  // namespace tanren::trainer
