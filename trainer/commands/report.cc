#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "trainer/commands/commands.h"
#include "trainer/loop/run_folder.h"
#include "trainer/report/page.h"

namespace tanren::trainer {

void AddReport(CLI::App& program, Action& action) {
  struct Arguments {
    std::vector<std::string> runs;
    std::string output;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand(
      "report", "Curves, scores and answers of one run or several, compared on a page");
  command->add_option("runs", arguments->runs, "The runs' folders")->required();
  command->add_option("--output", arguments->output,
                      "The page to write; default: report.html in the first run's folder");
  command->callback([=, &action] {
    action = [=]() -> absl::StatusOr<int> {
      const std::vector<std::filesystem::path> folders(arguments->runs.begin(),
                                                       arguments->runs.end());
      const std::filesystem::path output = std::filesystem::absolute(
          arguments->output.empty() ? RunFolder(folders.front()).report()
                                    : std::filesystem::path(arguments->output));
      TANREN_ASSIGN_OR_RETURN(const std::vector<RunRecord> runs, ReadRuns(folders));
      TANREN_RETURN_IF_ERROR(MakeDirectories(output.parent_path()));
      TANREN_RETURN_IF_ERROR(WriteFileAtomically(output, ReportPage(runs)));
      fmt::print("{}{}\n", ReportText(runs), output.string());
      return 0;
    };
  });
}

}  // namespace tanren::trainer
