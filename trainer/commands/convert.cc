#include <filesystem>
#include <memory>
#include <string>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/model_arguments.h"
#include "trainer/model/export.h"

namespace tanren::trainer {

void AddConvert(CLI::App& program, Action& action) {
  struct Arguments {
    std::string from, to;
    std::string dtype = "bf16";
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand(
      "convert", "Write a model as a Hugging Face directory that other programs load");
  command
      ->add_option(
          "from", arguments->from,
          "A GGUF file, a Hugging Face directory, a run's folder or one of its checkpoints")
      ->required();
  command->add_option("to", arguments->to, "The directory to write; a model there is replaced")
      ->required();
  command->add_option("--dtype", arguments->dtype, "Of the weights")
      ->check(CLI::IsMember({"bf16", "fp16", "fp32"}))
      ->capture_default_str();
  command->callback([=, &action] {
    action = [=]() -> absl::StatusOr<int> {
      TANREN_ASSIGN_OR_RETURN(const PretrainedModel model, OpenAnyModel(arguments->from));
      const formats::DType dtype = arguments->dtype == "fp32"   ? formats::DType::kF32
                                   : arguments->dtype == "fp16" ? formats::DType::kF16
                                                                : formats::DType::kBF16;
      TANREN_RETURN_IF_ERROR(ExportModel(model, dtype, arguments->to));
      fmt::print("{}: {} parameters as {}\n", arguments->to, ParameterCount(model.model),
                 arguments->dtype);
      return 0;
    };
  });
}

}  // namespace tanren::trainer
