// A conversation in the terminal; answers appear as they are written.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/terminal.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/generation_arguments.h"
#include "trainer/commands/model_arguments.h"
#include "trainer/rollout/prompt.h"

namespace tanren::trainer {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  ModelArguments model;
  GenerationRequest defaults;
  std::string system;
};

constexpr char kHelp[] =
    "  /new    forgets the conversation\n"
    "  /quit   ends (so does Ctrl-D)\n";

class Conversation {
 public:
  Conversation(const LoadedModel& model, const Arguments& arguments)
      : model_(model), arguments_(arguments), generator_(model.MakeGenerator(1)) {
    Forget();
  }

  void Forget() {
    messages_ = Json::array();
    if (!arguments_.system.empty()) {
      messages_.push_back({{"role", "system"}, {"content", arguments_.system}});
    }
  }

  // Prints the answer as it comes.
  absl::Status Say(const std::string& text) {
    messages_.push_back({{"role", "user"}, {"content", text}});
    GenerationRequest request = arguments_.defaults;
    absl::StatusOr<std::vector<int32_t>> prompt = PromptOfConversation(
        messages_, nullptr, model_.source.text.chat_template.get(), *model_.source.text.tokenizer);
    if (!prompt.ok()) {
      messages_.erase(messages_.size() - 1);
      return prompt.status();
    }
    request.prompt = *std::move(prompt);
    request.sequence = turn_++;
    const auto start = std::chrono::steady_clock::now();
    const Generation answer = generator_
                                  .Generate({&request, 1}, {[](size_t, std::string_view piece) {
                                                              fmt::print("{}", ForTerminal(piece));
                                                              std::fflush(stdout);
                                                            },
                                                            nullptr})
                                  .front();
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    messages_.push_back({{"role", "assistant"}, {"content", answer.text}});
    fmt::print("\n");
    fmt::print(stderr, "({} tokens, {:.1f} a second{})\n", answer.ids.size(),
               static_cast<double>(answer.ids.size()) / seconds,
               answer.finish_reason == FinishReason::kLength ? "; cut at the length limit" : "");
    return absl::OkStatus();
  }

 private:
  const LoadedModel& model_;
  const Arguments& arguments_;
  Generator generator_;
  Json messages_;
  uint32_t turn_ = 0;
};

int Talk(Conversation& conversation) {
  const bool terminal = isatty(STDIN_FILENO) != 0;
  if (terminal) fmt::print("{}", kHelp);
  std::string line;
  while (true) {
    if (terminal) {
      fmt::print("> ");
      std::fflush(stdout);
    }
    if (!std::getline(std::cin, line)) break;
    if (line == "/quit") break;
    if (line == "/new") {
      conversation.Forget();
      continue;
    }
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (const absl::Status said = conversation.Say(line); !said.ok()) {
      fmt::print(stderr, "error: {}\n", std::string(said.message()));
      if (!terminal) return 1;
    }
  }
  return 0;
}

}  // namespace

void AddChat(CLI::App& program, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  arguments->defaults.max_new_tokens = 512;
  CLI::App* command = program.add_subcommand("chat", "Talk to a model in the terminal");
  arguments->model.AddTo(*command);
  AddGenerationFlags(*command, arguments->defaults);
  command->add_option("--system", arguments->system, "What the model is told at the start");
  command->callback([=, &action] {
    action = [=]() -> absl::StatusOr<int> {
      TANREN_ASSIGN_OR_RETURN(const LoadedModel model, LoadModel(arguments->model));
      TANREN_RETURN_IF_ERROR(
          CheckTokens(arguments->defaults.sampling, model.source.config.vocab_size));
      Conversation conversation(model, *arguments);
      return Talk(conversation);
    };
  });
}

}  // namespace tanren::trainer
