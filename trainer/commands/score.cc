#include <memory>
#include <utility>

#include "runtime/base/error.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/json_lines.h"
#include "trainer/commands/model_arguments.h"
#include "trainer/rollout/prompt.h"
#include "trainer/rollout/scoring.h"

namespace tanren::trainer {
namespace {

using Json = nlohmann::ordered_json;

absl::StatusOr<std::vector<int32_t>> IdsOf(const Json& request, const LoadedModel& model) {
  const auto given = request.find("ids");
  if (given == request.end()) {
    TANREN_ASSIGN_OR_RETURN(const std::string text, StringAt(request, "text"));
    return PromptOfText(text, *model.source.text.tokenizer);
  }
  if (!given->is_array()) return absl::InvalidArgumentError("\"ids\" must be an array");
  std::vector<int32_t> ids;
  for (const Json& id : *given) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 ||
        id.get<int64_t>() >= model.source.config.vocab_size) {
      return absl::InvalidArgumentError(
          fmt::format("\"ids\" holds {}, expected integers from 0 to {}", id.dump(),
                      model.source.config.vocab_size - 1));
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

}  // namespace

void AddScore(CLI::App& program, Action& action) {
  auto arguments = std::make_shared<ModelArguments>();
  CLI::App* command = program.add_subcommand("score",
                                             "{\"ids\"} or {\"text\"} in, {\"logprobs\"} out: of "
                                             "each token given those before it, in nats; "
                                             "so one fewer than tokens. A JSON line for each");
  arguments->AddTo(*command);
  command->callback([=, &action] {
    action = [=]() -> absl::StatusOr<int> {
      TANREN_ASSIGN_OR_RETURN(const LoadedModel model, LoadModel(*arguments));
      return FilterEachLine([&](const Json& request) -> absl::StatusOr<Json> {
        TANREN_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, IdsOf(request, model));
        if (ids.empty()) return absl::InvalidArgumentError("there are no tokens to score");
        return Json{{"logprobs", TokenLogProbs(*model.resident, ids)}};
      });
    };
  });
}

}  // namespace tanren::trainer
