#include "trainer/loop/sampling.h"

#include <ATen/ATen.h>

#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/terminal.h"
#include "trainer/rollout/resident_model.h"

namespace tanren::trainer {
namespace {

using Json = nlohmann::ordered_json;

// What an earlier launch wrote before `step`; nothing where there is no such file, or another.
Json EarlierThan(int64_t step, const std::filesystem::path& file) {
  Json earlier = Json::array();
  const Json found = Json::parse(ReadFile(file).value_or(""), nullptr, /*allow_exceptions=*/false);
  if (!found.is_array()) return earlier;
  for (const Json& asking : found) {
    if (asking.is_object() && asking.value("step", step) < step) earlier.push_back(asking);
  }
  return earlier;
}

}  // namespace

Sampling::Sampling(parallel::Engine& engine, comm::Communicator& ranks,
                   const PretrainedModel& model, SamplingQuestions questions,
                   std::filesystem::path file)
    : engine_(engine),
      ranks_(ranks),
      model_(model),
      questions_(std::move(questions)),
      file_(std::move(file)) {}

void Sampling::RunStarted(StartReport& report) {
  if (report.steps_done == 0) Ask(0);
}

void Sampling::StepFinished(StepReport& report) {
  if (report.is_last) Ask(report.step);
}

void Sampling::Ask(int64_t step) {
  std::map<std::string, at::Tensor> parameters = engine_.GatherAll();
  if (ranks_.rank() == 0) {
    for (auto& [name, tensor] : parameters) tensor = tensor.cpu();
    const ResidentModel whole(model_.model, parameters);
    const Generator generator(
        whole, *model_.text.tokenizer,
        {model_.end_tokens, model_.config.max_position_embeddings, questions_.batch_size});
    ThrowIfError(Write(step, generator.Generate(questions_.requests)));
  }
  ranks_.Barrier("sample answers");
}

absl::Status Sampling::Write(int64_t step, const std::vector<Generation>& answers) const {
  Json asking = {{"step", step}, {"answers", Json::array()}};
  LogInfo("sample questions {}:", step == 0 ? "before training" : "after training");
  for (size_t i = 0; i < answers.size(); ++i) {
    const std::string question = QuestionText(questions_.questions[i].request);
    LogInfo("  Q: {}", OnOneLine(question));
    LogInfo("  A: {}", OnOneLine(answers[i].text));
    asking["answers"].push_back({{"question", question}, {"text", answers[i].text}});
  }
  Json all = EarlierThan(step, file_);
  all.push_back(std::move(asking));
  return WriteFileAtomically(file_, all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace tanren::trainer
