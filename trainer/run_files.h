// A run's files before its first step and behind its last. On the first rank alone.
#ifndef TANREN_TRAINER_RUN_FILES_H_
#define TANREN_TRAINER_RUN_FILES_H_

#include <filesystem>

#include "absl/status/status.h"
#include "runtime/telemetry/event_log.h"
#include "trainer/loop/run_folder.h"
#include "trainer/training_run.h"

namespace tanren::trainer {

// Where the run starts over, what an earlier one left goes: to be called when every rank has found
// the model and the data to be right. Where it continues another run, its records are taken over.
absl::Status BeginFiles(const RunFolder& folder, const TrainingRunOptions& options,
                        EventLog& events);

// The model that `checkpoint` holds, as the recipe wants it exported.
absl::Status ExportTrained(const RunFolder& folder, const Recipe& recipe,
                           const std::filesystem::path& checkpoint);

// Curves and answers as a page.
absl::Status WriteReport(const RunFolder& folder);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_RUN_FILES_H_
