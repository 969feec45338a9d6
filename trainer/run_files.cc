#include "trainer/run_files.h"

#include <span>
#include <system_error>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/config/recipe_text.h"
#include "trainer/model/export.h"
#include "trainer/recipe_parts.h"
#include "trainer/report/page.h"

namespace tanren::trainer {
namespace {

namespace fs = std::filesystem;

// What the run that is continued has told so far. Its metrics may reach beyond the checkpoint, or
// end in the middle of a line: both are cut where this run begins to write.
absl::Status CopyRecords(const RunFolder& folder, const TrainingRunOptions& options) {
  const RunFolder before(options.continue_from.parent_path().parent_path());
  for (const auto& [from, to] : {std::pair(before.metrics(), folder.metrics()),
                                 std::pair(before.samples(), folder.samples()),
                                 std::pair(before.tensorboard(), folder.tensorboard())}) {
    if (!fs::exists(from)) continue;
    std::error_code error;
    fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::overwrite_existing, error);
    if (error) {
      return absl::UnavailableError(
          fmt::format("copying {} to {}: {}", from.string(), to.string(), error.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status BeginFiles(const RunFolder& folder, const TrainingRunOptions& options,
                        EventLog& events) {
  if (!options.resume) {
    TANREN_RETURN_IF_ERROR(events.Clear());
    std::error_code ignored;
    for (const fs::path& left :
         {folder.checkpoints(), folder.metrics(), folder.samples(), folder.tensorboard()}) {
      fs::remove_all(left, ignored);
    }
  }
  if (!options.continue_from.empty()) TANREN_RETURN_IF_ERROR(CopyRecords(folder, options));
  return WriteFileAtomically(folder.recipe(), WriteRecipe(options.recipe));
}

absl::Status ExportTrained(const RunFolder& folder, const Recipe& recipe,
                           const fs::path& checkpoint) {
  ModelPaths paths = ModelPathsOf(recipe.model());
  paths.checkpoint = checkpoint;
  TANREN_ASSIGN_OR_RETURN(const PretrainedModel trained, OpenPretrained(paths));
  TANREN_RETURN_IF_ERROR(ExportModel(trained, ExportDtypeOf(recipe.checkpoint()), folder.model()));
  LogInfo("the model: {}", folder.model().string());
  return absl::OkStatus();
}

absl::Status WriteReport(const RunFolder& folder) {
  TANREN_ASSIGN_OR_RETURN(const RunRecord run, ReadRun(folder.root()));
  TANREN_RETURN_IF_ERROR(WriteFileAtomically(folder.report(), ReportPage({&run, 1})));
  LogInfo("curves and answers: {}", folder.report().string());
  return absl::OkStatus();
}

}  // namespace tanren::trainer
