// tanren-worker: one rank of a training, and what is done with its models.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "fmt/format.h"
#include "runtime/base/build.h"
#include "runtime/base/error.h"
#include "trainer/commands/commands.h"
#include "trainer/process_tuning.h"

namespace {

int Perform(const tanren::trainer::Action& action) {
  absl::StatusOr<int> code = 1;
  try {
    code = action();
  } catch (...) {
    code = tanren::StatusOfCurrentException();
  }
  if (code.ok()) return *code;
  fmt::print(stderr, "tanren-worker: {}\n", std::string(code.status().message()));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace tanren::trainer;
  TuneProcessOnce(argv);
  CLI::App program("Trains language models on many ranks, and runs them.", "tanren-worker");
  program.require_subcommand(1);
  program.set_version_flag("--version", tanren::VersionText("tanren-worker"));
  Action action;
  AddTrain(program, action);
  AddResume(program, action);
  AddEvaluate(program, action);
  AddReport(program, action);
  AddRecipe(program, action);
  AddPlan(program, action);
  AddData(program, action);
  AddChat(program, action);
  AddConvert(program, action);
  AddDoctor(program, action);
  AddGenerate(program, action);
  AddTokenize(program, action);
  AddRender(program, action);
  AddScore(program, action);
  CLI11_PARSE(program, argc, argv);
  return Perform(action);
}
