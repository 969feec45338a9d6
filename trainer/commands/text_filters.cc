// tokenize, render: what the model's tokenizer and template make of texts.
#include <algorithm>
#include <memory>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/text/assistant_targets.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/json_lines.h"
#include "trainer/commands/model_arguments.h"
#include "trainer/data/chat_tokens.h"
#include "trainer/rollout/prompt.h"

namespace tanren::trainer {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> SpecialTokenTexts(const text::Tokenizer& tokenizer) {
  std::vector<std::string> texts;
  for (int32_t id = 0; id < tokenizer.vocabulary_size(); ++id) {
    if (tokenizer.IsSpecial(id)) texts.emplace_back(*tokenizer.IdToToken(id));
  }
  return texts;
}

absl::StatusOr<Json> Render(const Json& request, const ModelText& model) {
  if (model.chat_template == nullptr) {
    return absl::FailedPreconditionError("the model has no chat template");
  }
  const text::Tokenizer& tokenizer = *model.tokenizer;
  text::ChatInput input = ChatInputFor(tokenizer);
  const auto messages = request.find("messages");
  if (messages == request.end()) return absl::InvalidArgumentError("expected \"messages\"");
  input.messages = *messages;
  input.tools = request.value("tools", Json());
  input.documents = request.value("documents", Json());
  if (const auto add = request.find("add_generation_prompt"); add != request.end()) {
    if (!add->is_boolean()) {
      return absl::InvalidArgumentError("\"add_generation_prompt\" must be true or false");
    }
    input.add_generation_prompt = add->get<bool>();
  }
  if (const auto variables = request.find("chat_template_kwargs"); variables != request.end()) {
    input.variables = *variables;
  }
  TANREN_RETURN_IF_ERROR(CheckNoSpecialTokens(input.tools, tokenizer));
  TANREN_ASSIGN_OR_RETURN(const text::RenderedChat chat, model.chat_template->Render(input));

  text::TargetOptions options;
  options.end_tokens = SpecialTokenTexts(tokenizer);
  TANREN_ASSIGN_OR_RETURN(const std::vector<text::TargetRange> targets,
                          text::AssistantTargets(chat, options));
  const text::Encoding encoding = EncodeChat(chat, tokenizer);
  Json mask = Json::array();
  for (float weight : TargetWeights(encoding, targets)) mask.push_back(weight > 0 ? 1 : 0);
  return Json{{"text", chat.text}, {"ids", encoding.ids}, {"mask", std::move(mask)}};
}

std::vector<int32_t> Tokenize(const std::string& text, const text::Tokenizer& tokenizer,
                              bool with_prefix) {
  std::vector<int32_t> ids = tokenizer.Encode(text, text::SpecialTokens::kParse);
  if (with_prefix) {
    ids.insert(ids.begin(), tokenizer.prefix_ids().begin(), tokenizer.prefix_ids().end());
    ids.insert(ids.end(), tokenizer.suffix_ids().begin(), tokenizer.suffix_ids().end());
  }
  return ids;
}

}  // namespace

void AddTokenize(CLI::App& program, Action& action) {
  struct Arguments {
    std::string model;
    bool text_alone = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      program.add_subcommand("tokenize", "{\"text\"} in, {\"ids\"} out: a JSON line for each");
  command->add_option("--model", arguments->model, "As of generate")->required();
  command->add_flag("--no-special-tokens", arguments->text_alone,
                    "Without the tokens that the tokenizer puts before and after a text");
  command->callback([=, &action] {
    action = [=]() -> absl::StatusOr<int> {
      TANREN_ASSIGN_OR_RETURN(const PretrainedModel model, OpenAnyModel(arguments->model));
      return FilterEachLine([&](const Json& request) -> absl::StatusOr<Json> {
        TANREN_ASSIGN_OR_RETURN(const std::string text, StringAt(request, "text"));
        return Json{{"ids", Tokenize(text, *model.text.tokenizer, !arguments->text_alone)}};
      });
    };
  });
}

void AddRender(CLI::App& program, Action& action) {
  auto path = std::make_shared<std::string>();
  CLI::App* command = program.add_subcommand("render",
                                             "{\"messages\", \"add_generation_prompt\"} in, "
                                             "{\"text\", \"ids\", \"mask\"} out: a JSON line "
                                             "for each; the mask is 1 where a token is trained on");
  command->add_option("--model", *path, "As of generate")->required();
  command->callback([=, &action] {
    action = [=]() -> absl::StatusOr<int> {
      TANREN_ASSIGN_OR_RETURN(const PretrainedModel model, OpenAnyModel(*path));
      return FilterEachLine([&](const Json& request) { return Render(request, model.text); });
    };
  });
}

}  // namespace tanren::trainer
