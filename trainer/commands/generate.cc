#include <memory>
#include <utility>

#include "runtime/base/error.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/generation_arguments.h"
#include "trainer/commands/json_lines.h"
#include "trainer/commands/model_arguments.h"
#include "trainer/rollout/prompt.h"

namespace tanren::trainer {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  ModelArguments model;
  GenerationRequest defaults;
  int batch_size = 8;
};

absl::StatusOr<GenerationRequest> RequestOf(const Json& line, const Arguments& arguments,
                                            const PretrainedModel& model) {
  TANREN_ASSIGN_OR_RETURN(GenerationRequest request, WithOverrides(line, arguments.defaults));
  TANREN_RETURN_IF_ERROR(CheckTokens(request.sampling, model.config.vocab_size));
  TANREN_ASSIGN_OR_RETURN(request.prompt,
                          PromptOf(line, model.text.chat_template.get(), *model.text.tokenizer));
  if (request.prompt.empty()) return absl::InvalidArgumentError("the prompt has no tokens");
  const auto length = static_cast<int64_t>(request.prompt.size());
  if (length >= model.config.max_position_embeddings) {
    return absl::InvalidArgumentError(
        fmt::format("the prompt has {} tokens, and the model {} positions", length,
                    model.config.max_position_embeddings));
  }
  return request;
}

std::vector<absl::StatusOr<Json>> Answer(const std::vector<Json>& lines, const Arguments& arguments,
                                         const LoadedModel& model, const Generator& generator) {
  std::vector<absl::StatusOr<Json>> answers(lines.size());
  std::vector<GenerationRequest> requests;
  std::vector<size_t> of_line;
  for (size_t i = 0; i < lines.size(); ++i) {
    absl::StatusOr<GenerationRequest> request = RequestOf(lines[i], arguments, model.source);
    if (!request.ok()) {
      answers[i] = request.status();
      continue;
    }
    requests.push_back(*std::move(request));
    of_line.push_back(i);
  }
  const std::vector<Generation> generations = generator.Generate(requests);
  for (size_t i = 0; i < generations.size(); ++i) {
    answers[of_line[i]] = Json{{"text", generations[i].text},
                               {"ids", generations[i].ids},
                               {"finish_reason", Name(generations[i].finish_reason)}};
  }
  return answers;
}

}  // namespace

void AddGenerate(CLI::App& program, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand(
      "generate",
      "{\"messages\"} or {\"prompt\"} in, {\"text\", \"ids\", \"finish_reason\"} out: a JSON line "
      "for each, which may also set max_new_tokens, temperature, top_k, top_p, min_p, "
      "repetition_penalty, logit_bias, seed and stop");
  arguments->model.AddTo(*command);
  AddGenerationFlags(*command, arguments->defaults);
  command->add_option("--batch-size", arguments->batch_size, "Answers generated side by side")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->callback([=, &action] {
    action = [=]() -> absl::StatusOr<int> {
      TANREN_ASSIGN_OR_RETURN(const LoadedModel model, LoadModel(arguments->model));
      TANREN_RETURN_IF_ERROR(
          CheckTokens(arguments->defaults.sampling, model.source.config.vocab_size));
      const Generator generator = model.MakeGenerator(arguments->batch_size);
      // Several batches at once, so that a long answer doesn't hold up the others.
      return FilterLines(static_cast<size_t>(arguments->batch_size) * 8,
                         [&](const std::vector<Json>& lines) {
                           return Answer(lines, *arguments, model, generator);
                         });
    };
  });
}

}  // namespace tanren::trainer
