#include "trainer/training_run.h"

#include <ATen/Context.h>

#include <algorithm>
#include <cstdio>
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
#include "runtime/config/recipe_text.h"
#include "runtime/telemetry/process_identity.h"
#include "runtime/text/unicode.h"
#include "trainer/data/training_data.h"
#include "trainer/evaluation_questions.h"
#include "trainer/failure_event.h"
#include "trainer/loop/checkpointing.h"
#include "trainer/loop/evaluation.h"
#include "trainer/loop/machine_limit.h"
#include "trainer/loop/progress.h"
#include "trainer/loop/recording.h"
#include "trainer/loop/row_report.h"
#include "trainer/loop/run_folder.h"
#include "trainer/loop/sampling.h"
#include "trainer/loop/tensorboard_recording.h"
#include "trainer/loop/training_loop.h"
#include "trainer/memory_check.h"
#include "trainer/model/export.h"
#include "trainer/objective/next_token.h"
#include "trainer/recipe_parts.h"
#include "trainer/report/page.h"
#include "trainer/started_alike.h"
#include "trainer/threads.h"

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
        ranks_, {fmt::format("tanren-worker {} (build {:.12})", kVersion, BuildId()),
                 options_.resume ? "resume" : "train", recipe_}));
    TANREN_RETURN_IF_ERROR(OpenModelAndData());
    MakeEngine();
    int64_t steps_done = 0;
    if (Restores()) {
      TANREN_ASSIGN_OR_RETURN(steps_done, RestoreCheckpoint());
    }
    TANREN_RETURN_IF_ERROR(TakeFolder());
    TANREN_ASSIGN_OR_RETURN(std::vector<std::unique_ptr<Callback>> callbacks, MakeCallbacks());
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

  // Where the run starts over, what an earlier one left goes only now: every rank has found the
  // model and the data to be right.
  absl::Status TakeFolder() {
    ranks_.Barrier("model and data");
    if (!is_first()) return absl::OkStatus();
    if (!options_.resume) {
      TANREN_RETURN_IF_ERROR(events_->Clear());
      std::error_code ignored;
      for (const fs::path& left :
           {folder_.checkpoints(), folder_.metrics(), folder_.samples(), folder_.tensorboard()}) {
        fs::remove_all(left, ignored);
      }
    }
    if (!options_.continue_from.empty()) TANREN_RETURN_IF_ERROR(CopyRecords());
    return WriteFileAtomically(folder_.recipe(), WriteRecipe(recipe_));
  }

  // What the run that is continued has told so far. Its metrics may reach beyond the checkpoint, or
  // end in the middle of a line: both are cut where this run begins to write.
  absl::Status CopyRecords() const {
    const RunFolder before(options_.continue_from.parent_path().parent_path());
    for (const auto& [from, to] : {std::pair(before.metrics(), folder_.metrics()),
                                   std::pair(before.samples(), folder_.samples()),
                                   std::pair(before.tensorboard(), folder_.tensorboard())}) {
      if (!fs::exists(from)) continue;
      std::error_code error;
      fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::overwrite_existing, error);
      if (error) {
        return absl::UnavailableError(
            fmt::format("copying {} to {}: {}", from.string(), to.string(), error.message()));
      }
    }
    return absl::OkStatus();
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

  // Evaluation comes first: what it finds goes into metrics and checkpoints.
  absl::StatusOr<std::vector<std::unique_ptr<Callback>>> MakeCallbacks() {
    std::vector<std::unique_ptr<Callback>> callbacks;
    if (data_->validation != nullptr) {
      callbacks.push_back(std::make_unique<Evaluation>(*engine_, ranks_, *data_->validation,
                                                       recipe_.evaluation().every_steps()));
    }
    const double limit = TotalProductRate();
    if (is_first()) {
      TANREN_ASSIGN_OR_RETURN(MetricsFile metrics, MetricsFile::Open(folder_.metrics()));
      callbacks.push_back(std::make_unique<Recording>(std::move(metrics), *events_, Started(),
                                                      recipe_.training().log_every()));
      if (recipe_.training().tensorboard()) {
        TANREN_ASSIGN_OR_RETURN(TensorBoardFile file,
                                TensorBoardFile::Create(folder_.tensorboard()));
        callbacks.push_back(std::make_unique<TensorBoardRecording>(std::move(file),
                                                                   recipe_.training().log_every()));
      }
      const double context = static_cast<double>(recipe_.data().sequence_length()) / 2;
      callbacks.push_back(std::make_unique<Progress>(
          ProgressScale{data_->steps, FlopsPerToken(model_.config, model_.model, context), limit},
          stderr));
      AddRowReports(callbacks);
    }
    if (asked_) {
      callbacks.push_back(std::make_unique<Sampling>(*engine_, ranks_, model_, *std::move(asked_),
                                                     folder_.samples()));
    }
    callbacks.push_back(
        std::make_unique<Checkpointing>(Parts(), CheckpointingOptionsOf(), PublishListener()));
    return callbacks;
  }

  void AddRowReports(std::vector<std::unique_ptr<Callback>>& callbacks) {
    const auto warn = [this](const std::string& text) {
      LogWarning("{}", text);
      Event event;
      event.mutable_warning()->set_text(text);
      ThrowIfError(events_->Append(std::move(event)));
    };
    callbacks.push_back(std::make_unique<RowReport>("training data", *data_->corpus, warn));
    if (data_->validation_corpus == nullptr) return;
    callbacks.push_back(
        std::make_unique<RowReport>("validation data", *data_->validation_corpus, warn));
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

  CheckpointingOptions CheckpointingOptionsOf() const {
    CheckpointingOptions options;
    options.folder = folder_.checkpoints();
    options.every_steps = recipe_.checkpoint().every_steps();
    options.save.retention.keep_last = recipe_.checkpoint().keep_last();
    options.save.retention.keep_best = recipe_.checkpoint().keep_best();
    options.in_background = recipe_.checkpoint().in_background();
    options.skip_when_busy = recipe_.checkpoint().when_busy() == CheckpointRecipe::SKIP;
    options.go_on_after_failure = recipe_.checkpoint().when_failing() == CheckpointRecipe::GO_ON;
    options.recipe_digest = Digest(recipe_);
    return options;
  }

  CheckpointListener PublishListener() {
    if (!is_first()) return nullptr;
    return [this](const PublishedCheckpoint& checkpoint) {
      Event event;
      tanren::CheckpointPublished& published = *event.mutable_checkpoint_published();
      published.set_step(checkpoint.step);
      published.set_path(checkpoint.path.string());
      published.set_seconds(checkpoint.seconds);
      published.set_waited_seconds(checkpoint.waited_seconds);
      ThrowIfError(events_->Append(std::move(event)));
      LogInfo("checkpoint {} in {:.1f} s; training waited {:.2f} s", checkpoint.path.string(),
              checkpoint.seconds, checkpoint.waited_seconds);
      last_step_ = checkpoint.step;
    };
  }

  // Of all ranks, measured at the same time: they share the machine in the steps too.
  double TotalProductRate() const {
    ranks_.Barrier("measuring");
    const at::Tensor rate = at::full({1}, MeasureProductRate(compute_type_, world_.device()),
                                     at::TensorOptions(at::kDouble).device(world_.device()));
    ranks_.AllReduce(rate, comm::ReduceOp::kSum, "measuring")->Wait();
    return rate.item<double>();
  }

  RunStarted Started() const {
    RunStarted started;
    started.set_name(recipe_.name());
    started.set_world_size(ranks_.size());
    started.set_total_steps(data_->steps);
    started.set_parameters(ParameterCount(model_.model));
    started.add_hosts(telemetry::HostName());
    return started;
  }

  absl::Status Conclude(TrainingOutcome outcome) {
    const bool finished = outcome == TrainingOutcome::kFinished;
    if (!is_first()) return absl::OkStatus();
    if (finished && recipe_.checkpoint().export_model()) TANREN_RETURN_IF_ERROR(Export());
    Event event;
    event.mutable_run_ended()->set_outcome(finished ? RunEnded::FINISHED : RunEnded::SAVED);
    event.mutable_run_ended()->set_step(last_step_);
    TANREN_RETURN_IF_ERROR(events_->Append(std::move(event)));
    TANREN_RETURN_IF_ERROR(WriteReport());
    if (!finished) {
      LogInfo("stopped as asked and saved: tanren-worker resume {}", folder_.root().string());
    }
    return absl::OkStatus();
  }

  absl::Status Export() {
    TANREN_ASSIGN_OR_RETURN(const std::optional<fs::path> latest, ReachedCheckpoint());
    ModelPaths paths = ModelPathsOf(recipe_.model());
    paths.checkpoint = *latest;
    TANREN_ASSIGN_OR_RETURN(const PretrainedModel trained, OpenPretrained(paths));
    TANREN_RETURN_IF_ERROR(
        ExportModel(trained, ExportDtypeOf(recipe_.checkpoint()), folder_.model()));
    LogInfo("the model: {}", folder_.model().string());
    return absl::OkStatus();
  }

  absl::Status WriteReport() const {
    TANREN_ASSIGN_OR_RETURN(const RunRecord run, ReadRun(folder_.root()));
    TANREN_RETURN_IF_ERROR(WriteFileAtomically(folder_.report(), ReportPage({&run, 1})));
    LogInfo("curves and answers: {}", folder_.report().string());
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
