// The commands of tanren-worker: one file each. Each adds itself to the command line and leaves
// what to do in `action`, which main runs once the whole line was understood.
#ifndef TANREN_TRAINER_COMMANDS_COMMANDS_H_
#define TANREN_TRAINER_COMMANDS_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <functional>

#include "absl/status/statusor.h"

namespace tanren::trainer {

// Returns the exit code.
using Action = std::function<absl::StatusOr<int>()>;

void AddTrain(CLI::App& program, Action& action);
void AddResume(CLI::App& program, Action& action);
void AddEvaluate(CLI::App& program, Action& action);
void AddConvert(CLI::App& program, Action& action);
void AddReport(CLI::App& program, Action& action);
void AddRecipe(CLI::App& program, Action& action);
void AddPlan(CLI::App& program, Action& action);
void AddData(CLI::App& program, Action& action);
void AddDoctor(CLI::App& program, Action& action);
void AddChat(CLI::App& program, Action& action);
// Filters: JSON lines in, JSON lines out.
void AddGenerate(CLI::App& program, Action& action);
void AddTokenize(CLI::App& program, Action& action);
void AddRender(CLI::App& program, Action& action);
void AddScore(CLI::App& program, Action& action);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_COMMANDS_COMMANDS_H_
