#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/model_arguments.h"
#include "trainer/model/export.h"
#include "trainer/model/export_gguf.h"

namespace tanren::trainer {
namespace {

std::vector<std::string> TypeNames() {
  std::vector<std::string> names;
  for (const ExportType& type : kExportTypes) names.emplace_back(type.name);
  return names;
}

absl::StatusOr<int> Convert(const std::string& from, const std::string& to,
                            const std::string& dtype) {
  const ExportType& type = ExportTypeNamed(dtype);
  const bool to_gguf = std::filesystem::path(to).extension() == ".gguf";
  if (type.only_gguf && !to_gguf) {
    return absl::InvalidArgumentError(
        fmt::format("--dtype {} is for GGUF files only, and {} doesn't end in .gguf", dtype, to));
  }
  TANREN_ASSIGN_OR_RETURN(const PretrainedModel model, OpenAnyModel(from));
  TANREN_RETURN_IF_ERROR(to_gguf ? ExportGguf(model, type.dtype, to)
                                 : ExportModel(model, type.dtype, to));
  fmt::print("{}: {} parameters as {}\n", to, ParameterCount(model.model), dtype);
  return 0;
}

}  // namespace

void AddConvert(CLI::App& program, Action& action) {
  struct Arguments {
    std::string from, to;
    std::string dtype = "bf16";
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand(
      "convert",
      "Write a model for other programs: a Hugging Face directory, or a GGUF for llama.cpp");
  command
      ->add_option(
          "from", arguments->from,
          "A GGUF file, a Hugging Face directory, a run's folder or one of its checkpoints")
      ->required();
  command
      ->add_option("to", arguments->to,
                   "What to write: a GGUF where the name ends in .gguf, else a directory; a model "
                   "there is replaced")
      ->required();
  command
      ->add_option("--dtype", arguments->dtype,
                   "Of the weights; q8_0 (8 bits and a scale for each 32) for a GGUF only")
      ->check(CLI::IsMember(TypeNames()))
      ->capture_default_str();
  command->callback([=, &action] {
    action = [=] { return Convert(arguments->from, arguments->to, arguments->dtype); };
  });
}

}  // namespace tanren::trainer
