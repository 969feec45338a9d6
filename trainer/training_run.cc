#include "trainer/training_run.h"

#include <ATen/Context.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "parallel/checkpoint/checkpoint_folder.h"
#include "parallel/checkpoint/rank_agreement.h"
#include "runtime/base/build.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/machine.h"
#include "runtime/base/out_of_memory.h"
#include "runtime/text/unicode.h"
#include "trainer/data/training_data.h"
#include "trainer/evaluation_questions.h"
#include "trainer/failure_event.h"
#include "trainer/loop/checkpointing.h"
#include "trainer/loop/run_folder.h"
#include "trainer/loop/sampling.h"
#include "trainer/loop/training_loop.h"
#include "trainer/memory_check.h"
#include "trainer/objective/next_token.h"
#include "trainer/recipe_parts.h"
#include "trainer/run_files.h"
#include "trainer/started_alike.h"
#include "trainer/threads.h"
#include "trainer/training_callbacks.h"

namespace tanren::trainer {
namespace {

namespace fs = std::filesystem;

// The parts of a run, each made from the recipe and those above it.
class TrainingRun {
 public:
  TrainingRun(const TrainingRunOptions& options, comm::World& world)
      : options_(options),
        recipe_(options.recipe),
        world_(world),
        ranks_(world.communicator()),
        folder_(options.run) {}

  absl::StatusOr<int> ToEnd() {
    TANREN_RETURN_IF_ERROR(StartLog());
    TANREN_RETURN_IF_ERROR(CheckStartedAlike(
        ranks_, {VersionText("tanren-worker"), options_.resume ? "resume" : "train", recipe_}));
    TANREN_RETURN_IF_ERROR(OpenModelAndData());
    MakeEngine();
    int64_t steps_done = 0;
    if (Restores()) {
      TANREN_ASSIGN_OR_RETURN(steps_done, RestoreCheckpoint());
    }
    TANREN_RETURN_IF_ERROR(TakeFolder());
    TANREN_ASSIGN_OR_RETURN(std::vector<std::unique_ptr<Callback>> callbacks,
                            MakeCallbacks({recipe_, folder_, world_, Parts(), *data_, model_,
                                           compute_type_, std::move(asked_), events_.get(),
                                           [this](int64_t step) { last_step_ = step; }}));
    TrainingLoop loop(
        Parts(),
        {data_->steps, ScheduleOf(recipe_.optimizer(), data_->steps), UpdateOptionsOf(recipe_)},
        std::move(callbacks), [&] { return world_.SaveRequested(); });
    const TrainingOutcome outcome = loop.Run(steps_done);
    TANREN_RETURN_IF_ERROR(Conclude(outcome));
    return outcome == TrainingOutcome::kFinished ? 0 : comm::kSavedExitCode;
  }

  // What is to be told of a failure; the caller tells it, this writes it into the rank's log.
  absl::Status RecordFailure(absl::Status failure) {
    if (IsOutOfMemory(failure)) {
      failure = WithMemoryAdvice(failure, recipe_, model_.config, model_.model, compute_type_,
                                 RanksOfPlan(), std::min(AvailableMemoryNow(), AddressSpaceLeft()));
    }
    // It may quote what a file holds, which is no UTF-8 then.
    WriteErrorToLogFiles(text::RepairUtf8(std::string(failure.message())));
    return failure;
  }

 private:
  bool is_first() const { return ranks_.rank() == 0; }
  bool Restores() const { return options_.resume || !options_.continue_from.empty(); }

  TrainingParts Parts() {
    return {ranks_,         *engine_,  *optimizer_, scaler_ ? &*scaler_ : nullptr,
            *data_->source, objective_};
  }

  // Nothing of an earlier run is touched yet, but a failure from here on is an event.
  absl::Status StartLog() {
    // So that no rank is still to look whether another launch writes the events.
    ranks_.Barrier("run folder");
    SetLogRank(ranks_.rank(), ranks_.size());
    if (is_first()) {
      TANREN_ASSIGN_OR_RETURN(events_, EventLog::Open(folder_.root()));
    }
    EndEventsWithFailure(*world_.flight_recorder(), folder_.root(),
                         parallel::BroadcastText(ranks_, is_first() ? events_->launch() : "",
                                                 /*root=*/0, "run folder"));
    TANREN_RETURN_IF_ERROR(MakeDirectories(folder_.log(ranks_.rank()).parent_path()));
    return AddLogFile(folder_.log(ranks_.rank()));
  }

  absl::Status TakeFolder() {
    ranks_.Barrier("model and data");
    if (!is_first()) return absl::OkStatus();
    return BeginFiles(folder_, options_, *events_);
  }

  absl::Status OpenModelAndData() {
    TANREN_ASSIGN_OR_RETURN(model_, OpenPretrained(ModelPathsOf(recipe_.model())));
    compute_type_ = ComputeTypeOf(recipe_.training().precision(), world_.device());
    if (options_.check_memory) TANREN_RETURN_IF_ERROR(CheckMemoryOfHost());
    TANREN_ASSIGN_OR_RETURN(
        data_, OpenTrainingData(recipe_, *model_.text.tokenizer, model_.text.chat_template.get(),
                                ranks_.size(), ranks_.rank()));
    if (recipe_.data().sequence_length() > model_.config.max_position_embeddings) {
      return absl::InvalidArgumentError(
          fmt::format("data.sequence_length is {}, but the model has {} positions",
                      recipe_.data().sequence_length(), model_.config.max_position_embeddings));
    }
    if (!recipe_.evaluation().samples().empty()) {
      TANREN_ASSIGN_OR_RETURN(asked_, SampleQuestions());
    }
    // For `evaluate`, when training is over.
    TANREN_RETURN_IF_ERROR(OpenExactQuestions(recipe_, model_.text).status());
    return OpenChoices(recipe_, model_.text, model_.config.max_position_embeddings).status();
  }

  // Before any rank takes much: each has asked for what is available when the first one goes on.
  // Every rank makes the check, which is arithmetic of milliseconds, so that all fail alike.
  absl::Status CheckMemoryOfHost() const {
    if (!world_.device().is_cpu()) return absl::OkStatus();
    const RanksToPlan planned = RanksOfPlan();
    // The limit of a process (ulimit -v) is one that each of the host's has.
    const double available = std::min(static_cast<double>(AvailableMemoryNow()),
                                      static_cast<double>(AddressSpaceLeft()) * planned.on_host);
    const at::Tensor least = at::full({1}, available, at::kDouble);
    ranks_.AllReduce(least, comm::ReduceOp::kMin, "available memory")->Wait();
    return CheckMemory(recipe_, model_.config, model_.model, compute_type_, planned,
                       static_cast<uint64_t>(least.item<double>()));
  }

  RanksToPlan RanksOfPlan() const {
    return {ranks_.size(), std::min(ranks_.size(), RanksOnThisHost())};
  }

  void MakeEngine() {
    engine_ = std::make_unique<parallel::Engine>(
        model_.model.units, std::vector<parallel::ParameterSpec>{model_.model.head}, ranks_,
        EngineOptionsOf(recipe_, compute_type_));
    if (!Restores()) {
      if (model_.read) {
        engine_->LoadParameters(model_.read);
      } else {
        engine_->Initialize(recipe_.training().seed());
      }
    }
    model_.read = nullptr;  // lets the file's pages go
    optimizer_ = MakeOptimizer(recipe_.optimizer(), engine_->TrainableShards());
    if (compute_type_ == at::kHalf) {
      parallel::LossScaler::Options scaling;
      scaling.initial = recipe_.optimizer().initial_loss_scale();
      scaler_.emplace(scaling);
    }
  }

  // What this run has reached: its own latest checkpoint, else the one that it continues from.
  absl::StatusOr<std::optional<fs::path>> ReachedCheckpoint() const {
    TANREN_ASSIGN_OR_RETURN(std::optional<fs::path> latest,
                            parallel::LatestCheckpoint(folder_.checkpoints()));
    if (!latest && !options_.continue_from.empty()) latest = options_.continue_from;
    return latest;
  }

  absl::StatusOr<int64_t> RestoreCheckpoint() {
    std::optional<fs::path> latest = options_.continue_from;
    if (options_.resume) {
      TANREN_ASSIGN_OR_RETURN(latest, ReachedCheckpoint());
    }
    if (!latest) {
      return absl::NotFoundError(fmt::format(
          "{}: there is no checkpoint to resume from; start over: tanren-worker train {} "
          "--run {} --overwrite",
          folder_.checkpoints().string(), folder_.recipe().string(), folder_.root().string()));
    }
    TANREN_ASSIGN_OR_RETURN(const int64_t steps_done, Restore(*latest, Parts()));
    last_step_ = steps_done;
    LogInfo("resuming behind step {} from {}", steps_done, latest->string());
    return steps_done;
  }

  absl::StatusOr<SamplingQuestions> SampleQuestions() const {
    SamplingQuestions asked;
    TANREN_ASSIGN_OR_RETURN(asked.questions, ReadQuestions(recipe_.evaluation().samples(),
                                                           /*limit=*/0, /*needs_answer=*/false));
    TANREN_ASSIGN_OR_RETURN(asked.requests,
                            RequestsFor(asked.questions, RequestOf(recipe_.generation()),
                                        model_.text.chat_template.get(), *model_.text.tokenizer));
    asked.batch_size = recipe_.generation().batch_size();
    return asked;
  }

  absl::Status Conclude(TrainingOutcome outcome) {
    const bool finished = outcome == TrainingOutcome::kFinished;
    if (!is_first()) return absl::OkStatus();
    if (finished && recipe_.checkpoint().export_model()) {
      TANREN_ASSIGN_OR_RETURN(const std::optional<fs::path> latest, ReachedCheckpoint());
      TANREN_RETURN_IF_ERROR(ExportTrained(folder_, recipe_, *latest));
    }
    Event event;
    event.mutable_run_ended()->set_outcome(finished ? RunEnded::FINISHED : RunEnded::SAVED);
    event.mutable_run_ended()->set_step(last_step_);
    TANREN_RETURN_IF_ERROR(events_->Append(std::move(event)));
    TANREN_RETURN_IF_ERROR(WriteReport(folder_));
    if (!finished) {
      LogInfo("stopped as asked and saved: tanren-worker resume {}", folder_.root().string());
    }
    return absl::OkStatus();
  }

  const TrainingRunOptions& options_;
  const Recipe& recipe_;
  comm::World& world_;
  comm::Communicator& ranks_;
  RunFolder folder_;
  std::unique_ptr<EventLog> events_;  // on the first rank
  PretrainedModel model_;
  std::unique_ptr<TrainingData> data_;
  std::optional<SamplingQuestions> asked_;
  at::ScalarType compute_type_ = at::kFloat;
  std::unique_ptr<parallel::Engine> engine_;
  std::unique_ptr<parallel::Optimizer> optimizer_;
  std::optional<parallel::LossScaler> scaler_;
  NextToken objective_;
  int64_t last_step_ = 0;
};

}  // namespace

absl::StatusOr<int> TrainRecipe(const TrainingRunOptions& options, comm::World& world) {
  UseThreads(options.recipe.training().threads());
  // A GPU's sums of halves stay in fp32 to the end: see runtime/kernels/products.h.
  at::globalContext().setAllowFP16ReductionCuBLAS(false);
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
  if (options.recipe.training().deterministic()) {
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  }
  TrainingRun run(options, world);
  absl::StatusOr<int> code = 0;
  try {
    code = run.ToEnd();
  } catch (...) {
    code = StatusOfCurrentException();
  }
  if (!code.ok()) return run.RecordFailure(code.status());
  return code;
}

}  // namespace tanren::trainer
